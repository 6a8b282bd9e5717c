import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { adapterKey, createAdapterSet, type AdapterRef } from '../../../src/domain/adapter-set.ts'
import { asToken, type ParkId, type Token } from '../../../src/domain/ids.ts'
import { defaultSampling, greedySampling } from '../../../src/domain/sampling.ts'
import type { Engine } from '../../../src/engine/engine.ts'
import { type DrivenSequence, EngineDriver, greedyWithRunnerUp } from './engine-driver.ts'

export interface EngineLimits {
  readonly laneCount: number
  readonly slotsPerLane: number
  readonly contextSize: number
  readonly maxStepTokens: number
}

export interface EngineContractOptions {
  /**
   * At least four different prompts, rendered with the model's template, each of 12 to 120 tokens, that make the model
   * answer with at least `answerTokens` tokens.
   */
  readonly prompts: readonly [string, string, string, string, ...string[]]
  /** A prompt that the model answers differently with different seeds at temperature 1. */
  readonly variedPrompt: string
  /** How many tokens of an answer are compared. */
  readonly answerTokens: number
  /** Two adapters, each with a prompt that the model answers in another way with it than without. */
  readonly adapters: () => Promise<readonly [AdapterCase, AdapterCase]>
  /**
   * Arithmetic in another order may turn a near tie around. Two greedy answers count as equal up to a position where the
   * two best candidates' log-probabilities differ by no more than this; 0 asks for equality to the end.
   */
  readonly tieTolerance: number
  /** Whether the tokenizer puts a space in front of text that has none. */
  readonly addsLeadingSpace?: boolean
}

export interface AdapterCase {
  readonly path: string
  readonly prompt: string
}

const limits: EngineLimits = { laneCount: 2, slotsPerLane: 4, contextSize: 512, maxStepTokens: 512 }

const roundTripTexts = [
  'Hello, world!',
  'The quick brown fox  jumps over\n\n\tthe lazy dog.',
  'naïve café — “déjà vu”…',
  '日本語のテキスト, русский, עברית',
  'family 👨‍👩‍👧‍👦 and 🌉🌊',
  '  leading and trailing  ',
  'a',
  'x = {"key": [1, 2.5e-3, null]}; // <br/>'
]

/**
 * What every engine promises, as tests. One engine with two lanes of four slots is made for all of them; no test leaves
 * anything behind that another could notice.
 */
export function describeEngine (
  name: string,
  createEngine: (limits: EngineLimits) => Promise<Engine>,
  options: EngineContractOptions
): void {
  const { answerTokens, tieTolerance } = options

  describe(`engine contract: ${name}`, () => {
    let engine: Engine
    let driver: EngineDriver
    let prompts: readonly (readonly Token[])[]

    const tokenize = (text: string): Token[] => engine.tokenizer.tokenize(text, { special: true })
    const prompt = (index: number): readonly Token[] => prompts[index]!
    const alone = async (index: number, slot = 0): Promise<DrivenSequence> =>
      await driver.alone(prompt(index), answerTokens, { slot })

    /** Drops a saved cache, with whatever there is to do. */
    const forget = async (park: ParkId): Promise<void> => {
      const sequence = driver.sequence(prompt(0), { slot: 3 })
      await driver.step([[sequence]], [park])
      driver.end(sequence)
    }

    /** Greedy answers are the same, near ties aside. */
    const expectSame = (actual: DrivenSequence, expected: DrivenSequence): void => {
      const length = Math.max(actual.drawn.length, expected.drawn.length)
      for (let position = 0; position < length; position++) {
        const [mine, theirs] = [actual.drawn[position], expected.drawn[position]]
        if (mine === theirs) continue
        const [best, second] = expected.logprobs[position]?.top ?? []
        const isNearTie = best !== undefined && second !== undefined && mine === second.token &&
          best.logprob - second.logprob <= tieTolerance
        if (!isNearTie) expect(actual.drawn).toEqual(expected.drawn)
        return
      }
    }

    beforeAll(async () => {
      engine = await createEngine(limits)
      driver = new EngineDriver(engine)
      prompts = options.prompts.map(tokenize)
    })

    afterAll(async () => {
      await engine[Symbol.asyncDispose]()
    })

    describe('info', () => {
      it('has the limits that were asked for', () => {
        expect(engine.info).toMatchObject({
          laneCount: limits.laneCount,
          slotsPerLane: limits.slotsPerLane,
          contextSize: limits.contextSize,
          maxStepTokens: limits.maxStepTokens
        })
        expect(engine.info.threads).toBeGreaterThanOrEqual(limits.laneCount)
      })

      it('describes the model consistently', () => {
        const { model, endTokens, backend, build, placement } = engine.info
        for (const text of [model.architecture, backend, build, placement]) expect(text).not.toBe('')
        expect(model.vocabularySize).toBeGreaterThan(256)
        expect(model.trainContextSize).toBeGreaterThanOrEqual(limits.contextSize)
        expect(endTokens.length).toBeGreaterThan(0)
        for (const token of endTokens) {
          expect(token).toBeGreaterThanOrEqual(0)
          expect(token).toBeLessThan(model.vocabularySize)
        }
        if (model.addsBos) expect(model.bosToken).not.toBeNull()
      })
    })

    describe('tokenizer', () => {
      it('has no token that stands for more text than it says', () => {
        const { vocabularySize, longestTokenBytes } = engine.info.model
        for (let token = 0; token < vocabularySize; token++) {
          expect(engine.tokenizer.tokenBytes(asToken(token)).length).toBeLessThanOrEqual(longestTokenBytes)
          expect(Buffer.byteLength(engine.tokenizer.tokenText(asToken(token)))).toBeLessThanOrEqual(longestTokenBytes)
        }
      })

      it.each(roundTripTexts)('gives the bytes of the text back: %j', (text) => {
        const tokens = engine.tokenizer.tokenize(text, { special: false })
        const bytes = Buffer.concat(tokens.map((token) => engine.tokenizer.tokenBytes(token))).toString('utf8')
        expect(options.addsLeadingSpace === true ? bytes.replace(/^ /, '') : bytes)
          .toBe(options.addsLeadingSpace === true ? text.replace(/^ /, '') : text)
        for (const token of tokens) expect(token).toBeLessThan(engine.info.model.vocabularySize)
      })

      it('has no tokens for no text', () => {
        expect(engine.tokenizer.tokenize('', { special: false })).toEqual([])
        expect(engine.tokenizer.tokenize('', { special: true })).toEqual([])
      })

      it('makes control tokens of their texts only when told to', () => {
        const { controlTexts } = engine.info.model
        expect(controlTexts.length).toBeGreaterThan(0)
        for (const text of controlTexts) {
          const [control, ...others] = engine.tokenizer.tokenize(text, { special: true })
          expect(others).toEqual([])
          expect(engine.tokenizer.tokenText(control!)).toBe(text)
          expect(engine.tokenizer.tokenBytes(control!)).toHaveLength(0)
          const harmless = engine.tokenizer.tokenize(text, { special: false })
          expect(harmless).not.toContain(control)
          const bytes = Buffer.concat(harmless.map((token) => engine.tokenizer.tokenBytes(token))).toString('utf8')
          expect(bytes.trimStart()).toBe(text)
        }
      })

      it('finds control tokens between other text', () => {
        const text = engine.info.model.controlTexts[0]!
        const control = engine.tokenizer.tokenize(text, { special: true })[0]!
        const tokens = engine.tokenizer.tokenize(`one${text}two`, { special: true })
        expect(tokens.filter((token) => token === control)).toHaveLength(1)
        expect(tokens.indexOf(control)).toBeGreaterThan(0)
        expect(tokens.at(-1)).not.toBe(control)
      })

      it('shows parts of characters as U+FFFD and never as nothing', () => {
        for (const token of engine.tokenizer.tokenize('🜁', { special: false })) {
          const bytes = engine.tokenizer.tokenBytes(token)
          expect(engine.tokenizer.tokenText(token)).toBe(Buffer.from(bytes).toString('utf8'))
        }
      })
    })

    describe('steps', () => {
      it('answers a prompt, and the same way again', async () => {
        const first = await alone(0)
        const second = await alone(0, 1)
        expect(first.drawn.length).toBe(answerTokens)
        expectSame(second, first)
      })

      it('draws nothing where nothing is to be drawn', async () => {
        const sequence = driver.sequence(prompt(0))
        await driver.step([[sequence, { chunk: 5 }]])
        expect(sequence.computed).toBe(5)
        expect(sequence.drawn).toEqual([])
        driver.end(sequence)
      })

      it.each([1, 3, 7])('reads a prompt in chunks of %i as in one', async (chunk) => {
        const expected = await alone(1)
        const sequence = driver.sequence(prompt(1))
        while (sequence.drawn.length === 0) await driver.step([[sequence, { chunk }]])
        await driver.run([sequence], answerTokens)
        driver.end(sequence)
        expectSame(sequence, expected)
      })

      it('keeps a prefix of what the slot holds as if it were computed again', async () => {
        const first = await alone(0)
        const expected = await alone(0, 1)
        const again = driver.sequence(prompt(0))
        const keep = prompt(0).length - 1
        expect(first.computed).toBeGreaterThan(keep)
        await driver.step([[again, { keep }]])
        await driver.run([again], answerTokens)
        driver.end(again)
        expectSame(again, expected)
      })

      it('drops what is not kept', async () => {
        const expected = await alone(1, 1)
        await alone(0)
        const shared = commonLength(prompt(0), prompt(1))
        const other = driver.sequence(prompt(1))
        await driver.step([[other, { keep: shared }]])
        await driver.run([other], answerTokens)
        driver.end(other)
        expectSame(other, expected)
      })

      it('copies a prefix from another slot as if it were computed again', async () => {
        const expected = await alone(0, 3)
        const source = driver.sequence(prompt(0), { slot: 0 })
        await driver.run([source], 4)
        const copy = driver.sequence(prompt(0), { slot: 1 })
        await driver.step([[copy, { copyFrom: source, keep: prompt(0).length - 1 }]])
        await driver.run([copy, source], answerTokens)
        driver.end(copy, source)
        expectSame(copy, expected)
        expectSame(source, expected)
      })

      it('copies before anything else, while the source goes on in the same step', async () => {
        const expected = [await alone(0, 3), await alone(0, 2)]
        const source = driver.sequence(prompt(0), { slot: 0 })
        await driver.run([source], 2)
        const copies = [1, 2].map((slot) => driver.sequence(prompt(0), { slot }))
        const keep = prompt(0).length - 1
        await driver.step([[source], ...copies.map((copy) => [copy, { copyFrom: source, keep }] as const)])
        await driver.run([source, ...copies], answerTokens)
        driver.end(source, ...copies)
        expectSame(source, expected[0]!)
        for (const copy of copies) expectSame(copy, expected[1]!)
      })

      it('copies over a slot that is in use for something else by then', async () => {
        const expected = await alone(0, 3)
        const source = driver.sequence(prompt(0), { slot: 0 })
        await driver.run([source], 1)
        // The source's slot starts over with another prompt in the very step that copies its old content away.
        driver.end(source)
        const copy = driver.sequence(prompt(0), { slot: 1 })
        const successor = driver.sequence(prompt(1), { slot: 0 })
        await driver.step([[successor, { keep: 0 }], [copy, { copyFrom: source, keep: prompt(0).length - 1 }]])
        await driver.run([copy, successor], answerTokens)
        driver.end(copy, successor)
        expectSame(copy, expected)
        expectSame(successor, await alone(1, 3))
      })

      it('restores a saved cache, in any slot and lane, as if it were computed again', async () => {
        const expected = await alone(0, 3)
        const source = await alone(0)
        const park = driver.nextParkId()
        // Its slot starts over with another prompt in the very step that saves what it held.
        const successor = driver.sequence(prompt(1), { slot: 0 })
        const [outcome] = await driver.step([[successor, { park, keep: 0 }]])
        expect(outcome).toMatchObject({ parked: { bytes: expect.any(Number), durationMs: expect.any(Number) } })
        expect((outcome as { parked: { bytes: number } }).parked.bytes).toBeGreaterThan(source.computed)
        for (const where of [{ slot: 2 }, { lane: 1, slot: 0 }]) {
          const again = driver.sequence(prompt(0), where)
          const [restored] = await driver.step([[again, { restore: park, keep: prompt(0).length - 1 }]])
          expect(restored).toMatchObject({ restoredInMs: expect.any(Number) })
          await driver.run([again], answerTokens)
          driver.end(again)
          expectSame(again, expected)
        }
        await driver.run([successor], answerTokens)
        driver.end(successor)
        expectSame(successor, await alone(1, 3))
        await forget(park)
      })

      it('saves and restores beside sequences that go on, and saves nothing anew', async () => {
        const expected = [await alone(0, 3), await alone(1, 3), await alone(2, 3)]
        const runner = driver.sequence(prompt(2), { slot: 1 })
        await driver.run([runner], 2)
        await alone(0)
        const [first, second] = [driver.nextParkId(), driver.nextParkId()]
        const other = driver.sequence(prompt(1), { slot: 0 })
        const outcomes = await driver.step([[runner], [other, { park: first, keep: 0 }]])
        expect(outcomes.filter((outcome) => 'parked' in outcome).map(({ slot }) => slot)).toEqual([other.slot])
        await driver.run([other], answerTokens)
        driver.end(other)
        // The slot's own cache is saved, then another one takes its place.
        const again = driver.sequence(prompt(0), { slot: 0 })
        await driver.step([[runner], [again, { park: second, restore: first, keep: prompt(0).length - 1 }]])
        await driver.run([again, runner], answerTokens)
        driver.end(again, runner)
        const third = driver.sequence(prompt(1), { slot: 2 })
        await driver.step([[third, { restore: second, keep: prompt(1).length - 1 }]], [first])
        await driver.run([third], answerTokens)
        driver.end(third)
        for (const [index, sequence] of [again, third, runner].entries()) expectSame(sequence, expected[index]!)
        await forget(second)
      })

      it('gives several sequences in one step what each gets alone', async () => {
        const expected = []
        for (const index of [0, 1, 2, 3]) expected.push(await alone(index))
        const together = [0, 1, 2, 3].map((index) => driver.sequence(prompt(index), { slot: 3 - index }))
        await driver.run(together, answerTokens)
        driver.end(...together)
        for (const [index, sequence] of together.entries()) expectSame(sequence, expected[index]!)
      })

      it('mixes decoding sequences with prompts that come later', async () => {
        const expected = [await alone(0), await alone(1), await alone(2)]
        const sequences = [0, 1, 2].map((index) => driver.sequence(prompt(index), { slot: index }))
        await driver.run(sequences.slice(0, 1), 3)
        await driver.step([[sequences[0]!], [sequences[1]!, { chunk: 4 }]])
        await driver.step([[sequences[1]!, { chunk: 4 }], [sequences[2]!], [sequences[0]!]])
        await driver.run(sequences, answerTokens)
        driver.end(...sequences)
        for (const [index, sequence] of sequences.entries()) expectSame(sequence, expected[index]!)
      })

      it('lets a released sequence’s slot serve the next', async () => {
        const expected = await alone(2, 1)
        await alone(0)
        await alone(1)
        expectSame(await alone(2), expected)
      })

      it('holds as many tokens as the context has, and draws after the last', async () => {
        const filler = prompt(0)
        const long: Token[] = []
        while (long.length < limits.contextSize) long.push(...filler)
        const sequence = driver.sequence(long.slice(0, limits.contextSize))
        while (sequence.drawn.length === 0) await driver.step([[sequence, { chunk: 200 }]])
        driver.end(sequence)
        expect(sequence.computed).toBe(limits.contextSize)
      })

      it('steps two lanes at the same time, each as if alone', async () => {
        const expected = [await alone(0), await alone(1)]
        const lanes = [0, 1].map((lane) => driver.sequence(prompt(lane), { lane }))
        await Promise.all(lanes.map(async (sequence) => { await driver.run([sequence], answerTokens) }))
        driver.end(...lanes)
        for (const [index, sequence] of lanes.entries()) expectSame(sequence, expected[index]!)
      })
    })

    describe('guesses', () => {
      /**
       * Decodes with guesses of what is known to come, of which every `wrongEvery`th is wrong, in steps of up to `count` of them.
       * @returns the steps that it took
       */
      const guided = async (sequence: DrivenSequence, known: readonly Token[], count: number, wrongEvery: number): Promise<number> => {
        const { endTokens, model } = engine.info
        await driver.step([[sequence]])
        let steps = 1
        let guessed = 0
        while (sequence.drawn.length < known.length && !endTokens.includes(sequence.drawn.at(-1)!)) {
          const next = known.slice(sequence.drawn.length, Math.min(sequence.drawn.length + count, known.length - 1))
          const guesses = next
            .map((token) => ++guessed % wrongEvery === 0 ? asToken((token + 1) % model.vocabularySize) : token)
            .filter((token) => !endTokens.includes(token))
          await driver.step([[sequence, { guesses }]])
          steps++
        }
        driver.end(sequence)
        return steps
      }

      it('that are right give several tokens in one step, the same ones', async () => {
        const expected = await alone(0)
        const sequence = driver.sequence(prompt(0), { slot: 1 })
        const steps = await guided(sequence, expected.drawn, 4, Infinity)
        expectSame(sequence, expected)
        // After the first token, each step draws five.
        expect(steps).toBe(1 + Math.ceil((answerTokens - 1) / 5))
      })

      it.each([1, 2, 3, 5])('of which every one of %i is wrong change nothing', async (wrongEvery) => {
        for (const index of [0, 1]) {
          const expected = await alone(index)
          const sequence = driver.sequence(prompt(index), { slot: 1 })
          const steps = await guided(sequence, expected.drawn, 3, wrongEvery)
          expectSame(sequence, expected)
          if (wrongEvery === 1) expect(steps).toBe(answerTokens)
          else expect(steps).toBeLessThan(answerTokens)
        }
      })

      it('change nothing where dice are thrown and penalties are counted', async () => {
        const text = tokenize(options.variedPrompt)
        for (let seed = 0; seed < 4; seed++) {
          const sampling = { ...defaultSampling(seed), frequencyPenalty: 0.5, repeatPenalty: 1.1, dryMultiplier: 0.5 }
          const expected = await driver.alone(text, answerTokens, { sampling })
          const sequence = driver.sequence(text, { sampling, slot: 2, lane: 1 })
          await guided(sequence, expected.drawn, 3, 4)
          expect(sequence.drawn).toEqual(expected.drawn)
        }
      })

      it('of several sequences in one step are each one’s own', async () => {
        const expected = [await alone(0), await alone(1), await alone(2)]
        const sequences = [0, 1, 2].map((index) => driver.sequence(prompt(index), { slot: 2 - index }))
        await driver.step(sequences.map((sequence) => [sequence]))
        const guesses = expected.map(({ drawn }, index) => drawn.slice(1, 1 + index * 2))
        // The last one's second guess is wrong.
        guesses[2]![1] = asToken((guesses[2]![1]! + 1) % engine.info.model.vocabularySize)
        await driver.step(sequences.map((sequence, index) => [sequence, { guesses: guesses[index]! }]))
        expect(sequences.map(({ drawn }) => drawn.length)).toEqual([2, 4, 3])
        await driver.run(sequences, answerTokens)
        driver.end(...sequences)
        for (const [index, sequence] of sequences.entries()) expectSame(sequence, expected[index]!)
      })
    })

    describe('drafts', () => {
      interface Drafted {
        /** What the draft model guessed, and how much of that was right. */
        count: number
        right: number
      }

      /** Decodes with drafts of up to `most` tokens, all sequences together. */
      const withDrafts = async (sequences: readonly DrivenSequence[], count: number, most: number): Promise<Drafted> => {
        const total: Drafted = { count: 0, right: 0 }
        const { endTokens, contextSize } = engine.info
        for (;;) {
          const active = sequences.filter(({ drawn }) => drawn.length < count && !endTokens.includes(drawn.at(-1)!))
          if (active.length === 0) return total
          const outcomes = await driver.step(active.map((sequence) => {
            const draft = Math.min(most, count - sequence.drawn.length - 1, contextSize - sequence.history.length)
            return [sequence, sequence.drawn.length === 0 || draft < 1 ? {} : { draft }]
          }))
          for (const outcome of outcomes) {
            if (!('token' in outcome) || outcome.drafted === undefined) continue
            expect(outcome.drafted.count).toBeLessThanOrEqual(most)
            expect(outcome.further?.length ?? 0).toBeLessThanOrEqual(outcome.drafted.count)
            expect(Math.min(outcome.drafted.durationMs, outcome.drafted.readMs)).toBeGreaterThanOrEqual(0)
            total.count += outcome.drafted.count
            total.right += outcome.further?.length ?? 0
          }
        }
      }

      it('are made by a model that the engine tells of', () => {
        expect(engine.info.draftModel).toEqual({ name: expect.any(String), parameterCount: expect.any(Number), sizeBytes: expect.any(Number) })
      })

      it.each([1, 3, 7])('of %i tokens give the same ones, some of them several in a step', async (most) => {
        const total: Drafted = { count: 0, right: 0 }
        for (const index of [0, 1, 2, 3]) {
          const expected = await alone(index)
          // One after the other in the same slot: what its draft holds of the last one is of no use.
          const sequence = driver.sequence(prompt(index), { slot: 1 })
          const { count, right } = await withDrafts([sequence], answerTokens, most)
          driver.end(sequence)
          expectSame(sequence, expected)
          total.count += count
          total.right += right
        }
        expect(total.right).toBeGreaterThan(0)
        expect(total.count).toBeGreaterThan(total.right)
      })

      it('of several sequences in one step are each one’s own', async () => {
        const expected = [await alone(0), await alone(1), await alone(2)]
        const sequences = [0, 1, 2].map((index) => driver.sequence(prompt(index), { slot: 2 - index }))
        expect((await withDrafts(sequences, answerTokens, 3)).right).toBeGreaterThan(0)
        driver.end(...sequences)
        for (const [index, sequence] of sequences.entries()) expectSame(sequence, expected[index]!)
      })

      it('change nothing where dice are thrown and penalties are counted', async () => {
        const text = tokenize(options.variedPrompt)
        for (let seed = 0; seed < 4; seed++) {
          const sampling = { ...defaultSampling(seed), frequencyPenalty: 0.5, repeatPenalty: 1.1, dryMultiplier: 0.5 }
          const expected = await driver.alone(text, answerTokens, { sampling })
          const sequence = driver.sequence(text, { sampling, slot: 2, lane: 1 })
          await withDrafts([sequence], answerTokens, 4)
          driver.end(sequence)
          expect(sequence.drawn).toEqual(expected.drawn)
        }
      })

      it('may come now and then, and beside guesses and prompts of others', async () => {
        const expected = [await alone(0), await alone(1), await alone(2)]
        const [drafted, guessed, late] = [0, 1, 2].map((index) => driver.sequence(prompt(index), { slot: index })) as [DrivenSequence, DrivenSequence, DrivenSequence]
        await driver.step([[drafted], [guessed]])
        await driver.step([[drafted, { draft: 2 }], [guessed, { guesses: expected[1]!.drawn.slice(1, 3) }]])
        await driver.step([[drafted], [guessed]])
        await driver.step([[drafted, { draft: 1 }], [guessed], [late]])
        await driver.run([drafted, guessed, late], answerTokens)
        driver.end(drafted, guessed, late)
        for (const [index, sequence] of [drafted, guessed, late].entries()) {
          const common = Math.min(sequence.drawn.length, expected[index]!.drawn.length)
          expect(sequence.drawn.slice(0, common)).toEqual(expected[index]!.drawn.slice(0, common))
        }
      })

      it('know nothing of adapters, and change nothing of what they make', async () => {
        const [{ path, prompt: text }] = await options.adapters()
        const ref: AdapterRef = { name: 'drafted', generation: 1, scale: 1 }
        const adapters = createAdapterSet([ref])
        await engine.loadAdapter(adapterKey(ref), { path }, new AbortController().signal)
        const expected = await driver.alone(tokenize(text), answerTokens, { adapters })
        const sequence = driver.sequence(tokenize(text), { slot: 1, adapters })
        await withDrafts([sequence], answerTokens, 3)
        driver.end(sequence)
        expectSame(sequence, expected)
        // Another adapter set in the lane, so that nothing holds this one.
        await alone(0)
        await engine.unloadAdapter(adapterKey(ref))
      })

      it('are read in pieces where the sequence is long, and come when that is done', async () => {
        const long = Array.from({ length: 400 }, (_, at) => prompt(0)[at % prompt(0).length]!)
        const expected = await driver.alone(long, 24, { sampling: { ...greedySampling, ignoreEos: true } })
        const sequence = driver.sequence(long, { slot: 3, sampling: { ...greedySampling, ignoreEos: true } })
        expect((await withDrafts([sequence], 24, 3)).count).toBeGreaterThan(0)
        driver.end(sequence)
        expect(sequence.drawn).toEqual(expected.drawn)
      })
    })

    describe('sampling', () => {
      it('reports no log-probabilities unless asked', async () => {
        const sequence = await driver.alone(prompt(0), 3, { sampling: greedySampling })
        expect(sequence.logprobs).toEqual([undefined, undefined, undefined])
      })

      it.each([0, 1, 5, 20])('reports %i alternatives, most likely first', async (logprobs) => {
        const sequence = await driver.alone(prompt(0), 4, { sampling: { ...greedySampling, logprobs } })
        for (const [position, token] of sequence.drawn.entries()) {
          const report = sequence.logprobs[position]!
          expect(report.token).toBe(token)
          expect(report.logprob).toBeLessThanOrEqual(1e-6)
          expect(report.top).toHaveLength(logprobs)
          expect(new Set(report.top.map((candidate) => candidate.token)).size).toBe(logprobs)
          const values = report.top.map((candidate) => candidate.logprob)
          expect(values).toEqual(values.toSorted((a, b) => b - a))
          expect(values.reduce((sum, value) => sum + Math.exp(value), 0)).toBeLessThanOrEqual(1 + 1e-4)
          // Greedy: the drawn token is the most likely one.
          if (logprobs > 0) expect(report.top[0]).toEqual({ token, logprob: report.logprob })
        }
      })

      it('reports the model’s own probabilities, whatever the sampling does to them', async () => {
        const plain = await driver.alone(prompt(0), 1, { sampling: { ...greedySampling, logprobs: 5 } })
        const bent = await driver.alone(prompt(0), 1, {
          sampling: { ...defaultSampling(1), temperature: 0.2, topK: 3, logitBias: [[plain.drawn[0]!, -100]], logprobs: 5 }
        })
        expect(bent.drawn).not.toEqual(plain.drawn)
        const candidates = (sequence: DrivenSequence): number[] => sequence.logprobs[0]!.top.map(({ token }) => token)
        expect(candidates(bent)).toEqual(candidates(plain))
        for (const [rank, { logprob }] of bent.logprobs[0]!.top.entries()) {
          expect(logprob).toBeCloseTo(plain.logprobs[0]!.top[rank]!.logprob, 3)
        }
      })

      it('draws the same with the same seed, in any slot and company', async () => {
        const sampling = defaultSampling(1234)
        const text = tokenize(options.variedPrompt)
        const expected = await driver.alone(text, answerTokens, { sampling })
        expect((await driver.alone(text, answerTokens, { sampling, slot: 2, lane: 1 })).drawn).toEqual(expected.drawn)
        const company = driver.sequence(prompt(0), { slot: 0 })
        const crowded = driver.sequence(text, { sampling, slot: 3 })
        await driver.run([company, crowded], answerTokens)
        driver.end(company, crowded)
        expect(crowded.drawn).toEqual(expected.drawn)
      })

      it('draws differently with other seeds', async () => {
        const text = tokenize(options.variedPrompt)
        const answers = new Set<string>()
        for (let seed = 0; seed < 8; seed++) {
          answers.add((await driver.alone(text, answerTokens, { sampling: defaultSampling(seed) })).drawn.join())
        }
        expect(answers.size).toBeGreaterThan(2)
      })

      it('is greedy at temperature 0 and with only one token to choose from', async () => {
        const greedy = await alone(0)
        for (const narrow of [{ topK: 1 }, { topP: 0 }, { minP: 1 }]) {
          const sampling = { ...defaultSampling(7), ...narrow, logprobs: 2 }
          expectSame(await driver.alone(prompt(0), answerTokens, { sampling }), greedy)
        }
      })

      it('bans and forces tokens by logit bias', async () => {
        const [natural] = (await alone(0)).drawn
        const banned = await driver.alone(prompt(0), 1, { sampling: { ...greedySampling, logitBias: [[natural!, -100]] } })
        expect(banned.drawn).not.toContain(natural)
        const wanted = tokenize('z').at(-1)!
        const forced = await driver.alone(prompt(0), 3, { sampling: { ...greedySampling, logitBias: [[wanted, 100]] } })
        expect(forced.drawn).toEqual([wanted, wanted, wanted])
      })

      it('draws no end token before the least number of tokens', async () => {
        const { endTokens } = engine.info
        const logitBias = endTokens.map((token): [number, number] => [token, 100])
        const eager = { ...greedySampling, logitBias }
        const ended = await driver.alone(prompt(0), 8, { sampling: eager })
        expect(ended.drawn).toHaveLength(1)
        expect(endTokens).toContain(ended.drawn[0])
        const patient = await driver.alone(prompt(0), 8, { sampling: { ...eager, minTokens: 3 } })
        expect(patient.drawn).toHaveLength(4)
        expect(endTokens).toContain(patient.drawn[3])
      })

      it('never draws an end token when told to ignore them', async () => {
        const logitBias = engine.info.endTokens.map((token): [number, number] => [token, 100])
        const sampling = { ...greedySampling, logitBias, ignoreEos: true }
        const sequence = await driver.alone(prompt(0), answerTokens, { sampling })
        expect(sequence.drawn).toHaveLength(answerTokens)
      })

      it('refuses a broken grammar', () => {
        expect(() => { engine.checkGrammar('root ::= (') }).toThrowError(expect.objectContaining({ code: 'invalid_grammar' }))
      })
    })

    describe('adapters', () => {
      const { signal } = new AbortController()
      const load = async (adapter: AdapterRef, path: string): Promise<void> => {
        await engine.loadAdapter(adapterKey(adapter), { path }, signal)
      }
      const reference = (name: string, generation = 1, scale = 1): AdapterRef => ({ name, generation, scale })

      it('changes answers while in use, and leaves no trace', async () => {
        const cases = await options.adapters()
        for (const [index, { path, prompt: text }] of cases.entries()) {
          const adapter = reference(`contract-${index}`)
          await load(adapter, path)
          const tokens = tokenize(text)
          const before = await driver.alone(tokens, answerTokens)
          const adapters = createAdapterSet([adapter])
          const adapted = await driver.alone(tokens, answerTokens, { adapters })
          expect(adapted.drawn).not.toEqual(before.drawn)
          expectSame(await driver.alone(tokens, answerTokens, { adapters, slot: 2 }), adapted)
          expectSame(await driver.alone(tokens, answerTokens), before)
          await engine.unloadAdapter(adapterKey(adapter))
          expectSame(await driver.alone(tokens, answerTokens), before)
        }
      })

      it('changes its adapter set from step to step', async () => {
        const cases = await options.adapters()
        const adapters = cases.map((_, index) => reference(`alternating-${index}`))
        for (const [index, adapter] of adapters.entries()) await load(adapter, cases[index]!.path)
        const alternating = [[], ...adapters.map((adapter) => [adapter])].map((members, slot) => {
          const text = cases[Math.max(0, slot - 1)]!.prompt
          return { text, options: { adapters: createAdapterSet(members), slot } }
        })
        const expected = []
        for (const { text, options: where } of alternating) {
          expected.push(await driver.alone(tokenize(text), answerTokens, where))
        }
        const sequences = alternating.map(({ text, options: where }) => driver.sequence(tokenize(text), where))
        for (let round = 1; round <= answerTokens; round++) {
          for (const sequence of sequences) await driver.run([sequence], round)
        }
        driver.end(...sequences)
        for (const [index, sequence] of sequences.entries()) expectSame(sequence, expected[index]!)
        for (const adapter of adapters) await engine.unloadAdapter(adapterKey(adapter))
      })

      it('runs different adapter sets in two lanes at the same time', async () => {
        const [first, second] = await options.adapters()
        const adapter = reference('one-lane')
        await load(adapter, first.path)
        const adapters = createAdapterSet([adapter])
        const adapted = await driver.alone(tokenize(first.prompt), answerTokens, { adapters, lane: 0 })
        const plain = await driver.alone(tokenize(second.prompt), answerTokens, { lane: 1 })
        const lanes = [
          driver.sequence(tokenize(first.prompt), { adapters, lane: 0, slot: 1 }),
          driver.sequence(tokenize(second.prompt), { lane: 1, slot: 1 })
        ]
        await Promise.all(lanes.map(async (sequence) => { await driver.run([sequence], answerTokens) }))
        driver.end(...lanes)
        expectSame(lanes[0]!, adapted)
        expectSame(lanes[1]!, plain)
        await engine.unloadAdapter(adapterKey(adapter))
      })

      it('tells two generations of a name apart', async () => {
        const [first, second] = await options.adapters()
        const [old, replacement] = [reference('replaced', 1), reference('replaced', 2)]
        await load(old, first.path)
        const expected = await driver.alone(tokenize(first.prompt), answerTokens, { adapters: createAdapterSet([old]) })
        await load(replacement, second.path)
        const inFlight = await driver.alone(tokenize(first.prompt), answerTokens, { adapters: createAdapterSet([old]) })
        expectSame(inFlight, expected)
        const plain = await driver.alone(tokenize(second.prompt), answerTokens)
        await engine.unloadAdapter(adapterKey(old))
        const replaced = await driver.alone(tokenize(second.prompt), answerTokens, {
          adapters: createAdapterSet([replacement])
        })
        expect(replaced.drawn).not.toEqual(plain.drawn)
        await engine.unloadAdapter(adapterKey(replacement))
      })

      it('uses several at once, with scales', async () => {
        const cases = await options.adapters()
        const [first, second] = [reference('left', 1, 1), reference('right', 1, 0.5)]
        await load(first, cases[0].path)
        await load(second, cases[1].path)
        const tokens = tokenize(cases[0].prompt)
        const both = createAdapterSet([first, second])
        const expected = await driver.alone(tokens, answerTokens, { adapters: both })
        expectSame(await driver.alone(tokens, answerTokens, { adapters: createAdapterSet([second, first]), slot: 1 }), expected)
        expect(expected.drawn).not.toEqual((await driver.alone(tokens, answerTokens)).drawn)
        await engine.unloadAdapter(adapterKey(first))
        await engine.unloadAdapter(adapterKey(second))
      })

      it('refuses a file that is not there or not a file, and goes on', async () => {
        const expected = await alone(0)
        for (const path of ['/nonexistent/adapter.gguf', import.meta.dirname]) {
          await expect(load(reference('missing'), path)).rejects.toMatchObject({ code: 'invalid_adapter' })
        }
        expectSame(await alone(0), expected)
      })

      it('does not load for a caller that has gone', async () => {
        const [{ path }] = await options.adapters()
        const gone = AbortSignal.abort(new Error('gone'))
        await expect(engine.loadAdapter(adapterKey(reference('gone')), { path }, gone)).rejects.toThrow()
      })

      it('ignores the unloading of adapters it does not have', async () => {
        await expect(engine.unloadAdapter(adapterKey(reference('unknown')))).resolves.toBeUndefined()
      })
    })

    it('can be disposed twice', async () => {
      const another = await createEngine({ ...limits, laneCount: 1, slotsPerLane: 1 })
      const sequence = await new EngineDriver(another).alone(another.tokenizer.tokenize(options.prompts[0], { special: true }), 2,
        { sampling: greedyWithRunnerUp })
      expect(sequence.drawn).toHaveLength(2)
      await another[Symbol.asyncDispose]()
      await another[Symbol.asyncDispose]()
    })
  })
}

function commonLength (one: readonly Token[], other: readonly Token[]): number {
  let length = 0
  while (length < one.length && length < other.length - 1 && one[length] === other[length]) length++
  return length
}
