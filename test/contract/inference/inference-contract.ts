import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { ServerError } from '../../../src/domain/errors.ts'
import { asTenantId, asToken, type Token } from '../../../src/domain/ids.ts'
import { defaultSampling, greedySampling, type Sampling } from '../../../src/domain/sampling.ts'
import { mixSeed } from '../../../src/domain/seed.ts'
import type { GenerationEvent, GenerationRequest, Inference, Prompt } from '../../../src/inference/inference.ts'
import { collectEvents, generationRequest, neverAborted, textOf } from '../../support/generation.ts'
import { patience } from '../../support/patience.ts'

/** What the suite asks of the engine behind an inference. */
export interface InferenceLimits {
  readonly laneCount: number
  readonly slotsPerLane: number
  readonly contextSize: number
  readonly maxStepTokens: number
  readonly maxQueue: number
}

export interface InferenceFixture {
  /** At least four of more than 20 tokens (shorter prefixes are computed rather than copied), with different answers. */
  readonly prompts: readonly string[]
}

type Create = (limits: InferenceLimits) => Promise<Inference>

const limits: InferenceLimits = { laneCount: 1, slotsPerLane: 4, contextSize: 2048, maxStepTokens: 64, maxQueue: 64 }
const ANSWER_TOKENS = 24

/** What every implementation of {@link Inference} must do. */
export function describeInference (name: string, create: Create, { prompts }: InferenceFixture): void {
  const text = (prompt: string): Prompt => ({ segments: [{ text: prompt, origin: 'template' }] })
  const first = prompts[0] ?? ''
  const request = (changes: Partial<GenerationRequest> = {}): GenerationRequest =>
    generationRequest(first, { maxTokens: ANSWER_TOKENS, sampling: greedySampling, ...changes })
  /** Runs until it is stopped: it never draws an end token, and ends only where the context does. */
  const endless = (changes: Partial<GenerationRequest> = {}): GenerationRequest =>
    request({ maxTokens: null, sampling: { ...greedySampling, ignoreEos: true }, ...changes })

  const run = (inference: Inference, wanted: GenerationRequest): Promise<GenerationEvent[]> =>
    collectEvents(inference.generate(wanted, neverAborted))
  /** Starts a request and returns once it has text; `rest` is its iterator. */
  const runToText = async (inference: Inference, wanted: GenerationRequest, signal = neverAborted) => {
    const rest = inference.generate(wanted, signal)[Symbol.asyncIterator]()
    for (;;) {
      const { done, value } = await rest.next()
      if (done === true) throw new Error('It ended without a text')
      if (value.type === 'text') return rest
    }
  }
  const isIdle = async (inference: Inference): Promise<void> => await vi.waitFor(() => {
    const { requests: open, running, waiting, lanes } = inference.snapshot()
    expect({ open, running, waiting, busy: lanes.map(({ busySlots }) => busySlots) })
      .toEqual({ open: 0, running: 0, waiting: 0, busy: lanes.map(() => 0) })
  }, patience)

  /**
   * Numbers may come a little later than what they count. After one more request has ended nothing is under way any more,
   * and the numbers are sent before the answer to whatever is asked next.
   */
  const settled = async (inference: Inference): Promise<void> => {
    await run(inference, endless({ maxTokens: 1 }))
    await inference.tokenize(text(first), { addBos: true })
    await isIdle(inference)
  }

  describe(`inference contract: ${name}`, () => {
    let inference: Inference
    beforeAll(async () => { inference = await create(limits) })
    afterAll(async () => { await inference?.[Symbol.asyncDispose]() })

    it('says what is loaded', () => {
      expect(inference.info).toMatchObject({
        laneCount: 1, slotsPerLane: 4, contextSize: limits.contextSize, maxStepTokens: 64
      })
      expect(inference.info.endTokens.length).toBeGreaterThan(0)
    })

    describe('events', () => {
      it('come in order, add up, and end once', async () => {
        const events = await run(inference, request())
        const { length } = await inference.tokenize(text(first), { addBos: true })
        expect(events[0]).toEqual({ type: 'accepted', promptTokens: length })
        expect(events[1]).toMatchObject({ type: 'choice-started', choice: 0 })
        expect(events.slice(2, -2).map(({ type }) => type)).toEqual(events.slice(2, -2).map(() => 'text'))
        const texts = events.filter((event) => event.type === 'text')
        expect(texts.length).toBeGreaterThan(0)
        const drawn = texts.map(({ drawnTokens }) => drawnTokens)
        expect(drawn).toEqual([...drawn].sort((a, b) => a - b))
        const [choiceFinished, finished] = events.slice(-2)
        if (choiceFinished?.type !== 'choice-finished' || finished?.type !== 'finished') {
          throw new Error(`It ends with ${choiceFinished?.type} and ${finished?.type}`)
        }
        expect(drawn.at(-1)).toBeLessThanOrEqual(choiceFinished.completionTokens)
        expect(finished).toMatchObject({ promptTokens: length, completionTokens: choiceFinished.completionTokens })
      })

      it('end with `length` after the most tokens', async () => {
        const events = await run(inference, endless({ maxTokens: 7 }))
        expect(events.at(-2)).toEqual({
          type: 'choice-finished', choice: 0, reason: 'length', stopText: null, completionTokens: 7
        })
      })

      it('end with `length` at a context of the request\'s own, and are none where its prompt fills that', async () => {
        const { length } = await inference.tokenize(text(first), { addBos: true })
        for (const maxTokens of [null, 100]) {
          const events = await run(inference, endless({ maxTokens, contextLimit: length + 5 }))
          expect(events.at(-2)).toMatchObject({ type: 'choice-finished', reason: 'length', completionTokens: 5 })
        }
        await expect(run(inference, request({ contextLimit: length }))).rejects.toMatchObject({
          code: 'context_length_exceeded', message: expect.stringContaining(`a context of ${length} tokens, and the prompt has ${length}`) as string
        })
      })

      it('give the same text for the same request, from the prefix cache too', async () => {
        const wanted = { sampling: defaultSampling(7) }
        const once = await run(inference, request(wanted))
        const twice = await run(inference, request(wanted))
        expect(textOf(twice)).toBe(textOf(once))
        const finished = twice.at(-1)
        if (finished?.type !== 'finished') throw new Error('It did not end')
        expect(finished.cachedTokens).toBe(finished.promptTokens - 1)
      })

      it('are those of each request alone, in a crowd on few slots', async () => {
        const crowd = Array.from({ length: 12 }, (_, index) => ({
          prompt: text(prompts[index % prompts.length] ?? ''), maxTokens: 8 + index
        }))
        const alone: string[] = []
        for (const changes of crowd) alone.push(textOf(await run(inference, request(changes))))
        const together = await Promise.all(crowd.map(async (changes) => textOf(await run(inference, request(changes)))))
        expect(together).toEqual(alone)
        expect(new Set(together).size).toBeGreaterThan(4)
      })

      it('of choices are those of requests with the derived seeds, with one prefill', async () => {
        const sampling = defaultSampling(11)
        const prompt = text(`${prompts[1]} And what comes after that?`)
        const events = await run(inference, request({ prompt, sampling, choices: 3 }))
        const started = events.filter((event) => event.type === 'choice-started')
        const finished = events.filter((event) => event.type === 'choice-finished')
        const last = events.at(-1)
        if (last?.type !== 'finished') throw new Error('It did not end')
        expect(started.map(({ choice }) => choice).sort()).toEqual([0, 1, 2])
        for (const { choice, cachedTokens } of started) {
          // The scheduler computes a few tokens rather than copy a cache.
          if (choice > 0) expect(last.promptTokens - cachedTokens).toBeLessThanOrEqual(16)
        }
        expect(finished.map(({ choice }) => choice).sort()).toEqual([0, 1, 2])
        // The first choice has read the prompt; what the others copied of it was not cached before.
        expect(last.cachedTokens).toBe(started.find(({ choice }) => choice === 0)?.cachedTokens)
        expect(last.completionTokens).toBe(finished.reduce((sum, { completionTokens }) => sum + completionTokens, 0))
        for (const choice of [0, 1, 2]) {
          const seed = choice === 0 ? sampling.seed : mixSeed(sampling.seed, choice)
          const alone = await run(inference, request({ prompt, sampling: { ...sampling, seed } }))
          expect(textOf(events, choice)).toBe(textOf(alone))
        }
      })

      it('of many requests at once whose prompts begin alike come from one prefill of what they share', async () => {
        const tokens = await inference.tokenize(text(first), { addBos: true })
        const repeated = (length: number, from: number): Token[] => Array.from({ length }, (_, index) => tokens[(index + from) % tokens.length]!)
        // It begins as no other prompt here does.
        const shared = repeated(1000, 3)
        await settled(inference)
        const { promptTokens: before } = inference.snapshot()
        const questions = Array.from({ length: 32 }, (_, index) => ({ tokens: [...shared, ...repeated(16, index)] }))
        const ends = await Promise.all(questions.map(async (prompt) => (await run(inference, request({ prompt, maxTokens: 4 }))).at(-1)))
        expect(ends.every((event) => event?.type === 'finished')).toBe(true)
        await settled(inference)
        const { promptTokens: after } = inference.snapshot()
        expect(after - before).toBeGreaterThanOrEqual(1000)
        expect(after - before).toBeLessThanOrEqual(1.2 * 1000 + 32 * 16)
      })

      it('stop before a stop text, wherever tokens end', async () => {
        const whole = textOf(await run(inference, request()))
        const middle = Math.floor(whole.length / 2)
        const stop = whole.slice(middle, middle + 4)
        const events = await run(inference, request({ stop: ['never in there', stop] }))
        expect(textOf(events)).toBe(whole.slice(0, whole.indexOf(stop)))
        expect(events.at(-2)).toMatchObject({ type: 'choice-finished', reason: 'stop', stopText: stop })
      })

      it('carry the log-probabilities of every token', async () => {
        const events = await run(inference, request({ maxTokens: 10, sampling: { ...greedySampling, logprobs: 2 } }))
        const texts = events.filter((event) => event.type === 'text')
        const logprobs = texts.flatMap((event) => event.logprobs ?? [])
        expect(logprobs.length).toBe(texts.at(-1)?.drawnTokens)
        expect(Buffer.from(logprobs.flatMap(({ bytes }) => bytes)).toString()).toContain(textOf(events))
        for (const { token, logprob, top } of logprobs) {
          expect(logprob).toBeLessThanOrEqual(0)
          expect(top).toHaveLength(2)
          expect(top[0]).toMatchObject({ token, logprob })
          expect(top[1]!.logprob).toBeLessThanOrEqual(logprob)
        }
      })

      it('wait for a slow reader, and nothing else does', async () => {
        const expected = textOf(await run(inference, request({ maxTokens: 20 })))
        const slow = inference.generate(request({ maxTokens: 20 }), neverAborted)[Symbol.asyncIterator]()
        const events = [await next(slow)]
        await run(inference, request({ prompt: text(prompts[1] ?? '') }))
        await vi.waitFor(() => { expect(inference.snapshot().running).toBe(0) }, patience)
        for (let result = await slow.next(); result.done !== true; result = await slow.next()) events.push(result.value)
        expect(textOf(events)).toBe(expected)
        expect(events.at(-1)).toMatchObject({ type: 'finished' })
      })
    })

    describe('errors before the first event', () => {
      const refused = async (changes: Partial<GenerationRequest>, code: string): Promise<void> => {
        const outcome = run(inference, request(changes))
        await expect(outcome).rejects.toBeInstanceOf(ServerError)
        await expect(outcome).rejects.toMatchObject({ code })
        expect(inference.snapshot().requests).toBe(0)
      }

      it('refuses a prompt that does not fit, with the numbers', async () => {
        const tokens = Array.from({ length: limits.contextSize }, () => asToken(40))
        await refused({ prompt: { tokens } }, 'context_length_exceeded')
        await expect(run(inference, request({ prompt: { tokens } }))).rejects.toThrow(new RegExp(`${limits.contextSize}.*${limits.contextSize}`))
      })

      it('refuses an empty prompt', async () => await refused({ prompt: { tokens: [] } }, 'invalid_value'))

      it('refuses tokens that do not exist', async () =>
        await refused({ prompt: { tokens: [asToken(40), asToken(1_000_000)] } }, 'invalid_value'))

      it('refuses a grammar that is none', async () =>
        await refused({ sampling: { ...greedySampling, grammar: 'root ::= (' } }, 'invalid_grammar'))

      it('does not begin for a client that has gone', async () => {
        await expect(collectEvents(inference.generate(request(), AbortSignal.abort())))
          .rejects.toMatchObject({ code: 'request_aborted' })
        expect(inference.snapshot().requests).toBe(0)
      })
    })

    describe('ending early', () => {
      it('frees everything when the signal fires', async () => {
        const controller = new AbortController()
        const rest = await runToText(inference, endless({ choices: 3 }), controller.signal)
        controller.abort()
        await expect((async () => { while ((await rest.next()).done !== true); })())
          .rejects.toMatchObject({ code: 'request_aborted' })
        await isIdle(inference)
      })

      it('frees everything when the reader leaves', async () => {
        await settled(inference)
        const { aborted } = inference.snapshot()
        for await (const event of inference.generate(endless({ choices: 2 }), neverAborted)) {
          if (event.type === 'text') break
        }
        await vi.waitFor(() => { expect(inference.snapshot().aborted).toBe(aborted + 2) }, patience)
        await isIdle(inference)
      })

      it('frees those that wait for a slot', async () => {
        const controller = new AbortController()
        const outcomes = Array.from({ length: 9 }, () => collectEvents(inference.generate(endless(), controller.signal)))
        await vi.waitFor(() => { expect(inference.snapshot()).toMatchObject({ running: 4, waiting: 5 }) }, patience)
        controller.abort()
        for (const outcome of await Promise.allSettled(outcomes)) {
          expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'request_aborted' } })
        }
        await isIdle(inference)
      })

      it('ends with `generation_timeout` after its time', async () => {
        // Enough to get a slot in, on a busy machine too: a request that had none ends with `queue_timeout`.
        await expect(run(inference, endless({ timeoutMs: 200 }))).rejects.toMatchObject({ code: 'generation_timeout' })
        await isIdle(inference)
      })
    })

    describe('tokens', () => {
      it('are the same in prompts and as prompts', async () => {
        const tokens = await inference.tokenize(text(first), { addBos: true })
        expect(textOf(await run(inference, request({ prompt: { tokens } })))).toBe(textOf(await run(inference, request())))
      })

      it('become their text again', async () => {
        const sample = 'The café by the river 🌊 opens at 7:30.\n\tIs it naïve? 日本'
        const tokens = await inference.tokenize({ segments: [{ text: sample, origin: 'user' }] }, { addBos: false })
        expect((await inference.detokenize(tokens)).trimStart()).toBe(sample)
      })

      it('are control tokens only from template text', async () => {
        const [control] = inference.info.model.controlTexts.filter((literal) => literal.includes('im_end'))
        if (control === undefined) throw new Error('The model has no <|im_end|>')
        const asTemplate = await inference.tokenize({ segments: [{ text: control, origin: 'template' }] }, { addBos: false })
        const asUser = await inference.tokenize({ segments: [{ text: control, origin: 'user' }] }, { addBos: false })
        expect(asTemplate).toHaveLength(1)
        expect(inference.info.endTokens).toContain(asTemplate[0])
        for (const token of asUser) expect(inference.info.endTokens).not.toContain(token)
        expect(await inference.detokenize(asTemplate)).toBe(control)
      })
    })

    it('shows control tokens in the text only when it is asked to', async () => {
      const [control] = inference.info.model.controlTexts.filter((literal) => literal.includes('im_start'))
      if (control === undefined) throw new Error('The model has no <|im_start|>')
      const [token] = await inference.tokenize({ segments: [{ text: control, origin: 'template' }] }, { addBos: false })
      const sampling: Sampling = { ...greedySampling, logitBias: [[Number(token), 100]] }
      expect(textOf(await run(inference, request({ maxTokens: 2, sampling })))).toBe('')
      const shown = await run(inference, request({ maxTokens: 2, sampling, shownControlTexts: ['no control text', control] }))
      expect(textOf(shown)).toBe(control + control)
    })

    describe('texts that are too long', () => {
      // Tokenizing this much would take seconds, in which no other answer goes on.
      const huge: Prompt = { segments: [{ text: 'river '.repeat(2_000_000), origin: 'user' }] }

      it('are refused by their size alone', async () => {
        const before = inference.snapshot().added
        const { longestTokenBytes } = inference.info.model
        await expect(run(inference, request({ prompt: huge }))).rejects.toMatchObject({
          code: 'context_length_exceeded', message: expect.stringContaining(`at least ${Math.ceil(12_000_000 / longestTokenBytes)}. `)
        })
        await expect(inference.tokenize(huge, { addBos: false })).rejects.toMatchObject({
          code: 'invalid_value', message: expect.stringContaining('12000000 bytes, and at most 1048576')
        })
        const tokens = new Array<Token>(300_000).fill(asToken(5))
        await expect(inference.detokenize(tokens)).rejects.toMatchObject({ code: 'invalid_value', param: 'tokens' })
        expect(inference.snapshot().added).toBe(before)
      })

      it('are not called too long when they may fit', async () => {
        const { contextSize } = inference.info
        const tokens = new Array<Token>(contextSize - 1).fill((await inference.tokenize(text(first), { addBos: false }))[1] ?? asToken(5))
        const events = await run(inference, endless({ prompt: { tokens } }))
        expect(events.at(-1)).toMatchObject({ promptTokens: contextSize - 1, completionTokens: 1 })
        await expect(run(inference, request({ prompt: { segments: [{ text: first.repeat(contextSize), origin: 'user' }] } })))
          .rejects.toMatchObject({ code: 'context_length_exceeded' })
      })
    })

    it('counts what it did', async () => {
      await settled(inference)
      const before = inference.snapshot()
      const startedAt = performance.now()
      await run(inference, endless({ maxTokens: 5, choices: 2 }))
      await vi.waitFor(() => { expect(inference.snapshot().finished).toBe(before.finished + 2) }, patience)
      await isIdle(inference)
      const after = inference.snapshot()
      expect(after.added - before.added).toBe(2)
      expect(after.drawnTokens - before.drawnTokens).toBe(10)
      expect(after.steps).toBeGreaterThan(before.steps)
      expect(after.stepSeconds).toBeGreaterThan(before.stepSeconds)
      expect(before.lastStepAt).toBeLessThanOrEqual(startedAt)
      expect(after.lastStepAt).toBeGreaterThan(startedAt)
      expect(after.lastStepAt).toBeLessThanOrEqual(performance.now())
    })
  })

  describe(`inference contract, queue: ${name}`, () => {
    let inference: Inference
    // Room for an answer that is still going on when a slow machine comes to look at it.
    beforeAll(async () => { inference = await create({ ...limits, slotsPerLane: 1, contextSize: 8192, maxQueue: 1 }) })
    afterAll(async () => { await inference?.[Symbol.asyncDispose]() })

    it('refuses what the queue cannot hold, and serves what it holds', async () => {
      const controller = new AbortController()
      await runToText(inference, endless(), controller.signal)
      const waiting = run(inference, request())
      await vi.waitFor(() => { expect(inference.snapshot()).toMatchObject({ running: 1, waiting: 1 }) }, patience)
      await expect(run(inference, request())).rejects.toMatchObject({ code: 'queue_full' })
      controller.abort()
      expect((await waiting).at(-1)).toMatchObject({ type: 'finished' })
      await isIdle(inference)
    })

    it('ends what waits too long', async () => {
      const controller = new AbortController()
      await runToText(inference, endless(), controller.signal)
      await expect(run(inference, request({ queueTimeoutMs: 20 }))).rejects.toMatchObject({ code: 'queue_timeout' })
      controller.abort()
      await isIdle(inference)
    })

    it('tells the whole of a request that it was accepted, before it has a slot', async () => {
      const controller = new AbortController()
      await runToText(inference, endless(), controller.signal)
      const waiting = inference.generate(request(), neverAborted)[Symbol.asyncIterator]()
      expect(await next(waiting)).toMatchObject({ type: 'accepted' })
      controller.abort()
      expect(await next(waiting)).toMatchObject({ type: 'choice-started', choice: 0 })
      await waiting.return?.()
      await isIdle(inference)
    })
  })

  describe(`inference contract, fairness: ${name}`, () => {
    let inference: Inference
    beforeAll(async () => { inference = await create({ ...limits, slotsPerLane: 1, contextSize: 8192, maxQueue: 2 }) })
    afterAll(async () => { await inference?.[Symbol.asyncDispose]() })
    const flood = asTenantId('flood')
    const colleague = asTenantId('colleague')

    it('serves a tenant that had nothing yet before the rest of a flood', async () => {
      const controller = new AbortController()
      await runToText(inference, endless({ tenant: flood }), controller.signal)
      const ended: string[] = []
      const late = run(inference, request({ tenant: flood })).then(() => ended.push('flood'))
      await vi.waitFor(() => { expect(inference.snapshot().waiting).toBe(1) }, patience)
      const early = run(inference, request({ tenant: colleague })).then(() => ended.push('colleague'))
      await vi.waitFor(() => { expect(inference.snapshot().waiting).toBe(2) }, patience)
      controller.abort()
      await Promise.all([late, early])
      expect(ended).toEqual(['colleague', 'flood'])
      await isIdle(inference)
    })

    it('turns away the newest of a flood, not the colleague who comes to a full queue', async () => {
      const controller = new AbortController()
      await runToText(inference, endless({ tenant: flood }), controller.signal)
      const oldest = run(inference, request({ tenant: flood }))
      await vi.waitFor(() => { expect(inference.snapshot().waiting).toBe(1) }, patience)
      const newest = run(inference, request({ tenant: flood }))
      await vi.waitFor(() => { expect(inference.snapshot().waiting).toBe(2) }, patience)
      const welcome = run(inference, request({ tenant: colleague }))
      await expect(newest).rejects.toMatchObject({ code: 'queue_full' })
      await expect(run(inference, request({ tenant: flood }))).rejects.toMatchObject({ code: 'queue_full' })
      controller.abort()
      expect((await oldest).at(-1)).toMatchObject({ type: 'finished' })
      expect((await welcome).at(-1)).toMatchObject({ type: 'finished' })
      await isIdle(inference)
    })
  })

  describe(`inference contract, ends: ${name}`, () => {
    it('closes after the running requests, and takes no new ones', async () => {
      const inference = await create(limits)
      try {
        const running = await runToText(inference, request())
        const closing = inference.close()
        await expect(run(inference, request())).rejects.toMatchObject({ code: 'server_draining' })
        const events: GenerationEvent[] = []
        for (let result = await running.next(); result.done !== true; result = await running.next()) events.push(result.value)
        expect(events.at(-1)).toMatchObject({ type: 'finished' })
        await closing
        await inference.close()
      } finally {
        await inference[Symbol.asyncDispose]()
      }
    })

    it('is destroyed at once, with the error', async () => {
      const inference = await create(limits)
      const running = [await runToText(inference, endless()), await runToText(inference, endless())]
      await inference.destroy(new ServerError('engine_unavailable', 'The plug was pulled'))
      for (const rest of running) {
        await expect((async () => { while ((await rest.next()).done !== true); })())
          .rejects.toMatchObject({ code: 'engine_unavailable', message: 'The plug was pulled' })
      }
      await expect(run(inference, request())).rejects.toBeInstanceOf(ServerError)
      await inference[Symbol.asyncDispose]()
    })
  })
}

async function next (events: AsyncIterator<GenerationEvent>): Promise<GenerationEvent> {
  const result = await events.next()
  if (result.done === true) throw new Error('There are no more events')
  return result.value
}
