import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Token } from '../../../src/domain/ids.ts'
import { defaultSampling, greedySampling, samplingSchema, type Sampling } from '../../../src/domain/sampling.ts'
import type { Engine } from '../../../src/engine/engine.ts'
import { createLlamaCppEngine } from '../../../src/engine/llama-cpp/llama-cpp-engine.ts'
import { type DrivenSequence, EngineDriver } from './engine-driver.ts'

const modelPath = join(import.meta.dirname, '../../../models/demo/drawbridge-demo-q8_0.gguf')
const options = {
  modelPath, gpu: 'off', gpuLayers: 'auto', threads: 1, laneCount: 1, slotsPerLane: 4, contextSize: 512, maxStepTokens: 512
} as const
const ask = (text: string): string => `<|im_start|>user\n${text}<|im_end|>\n<|im_start|>assistant\n`

describe('llama.cpp sampling', () => {
  let engine: Engine
  let driver: EngineDriver

  beforeAll(async () => {
    engine = await createLlamaCppEngine(options)
    driver = new EngineDriver(engine)
  })

  afterAll(async () => { await engine[Symbol.asyncDispose]() })

  const tokenize = (text: string): Token[] => engine.tokenizer.tokenize(text, { special: true })
  const textOf = (sequence: DrivenSequence): string =>
    Buffer.concat(sequence.drawn.map((token) => engine.tokenizer.tokenBytes(token))).toString('utf8')
  const draw = async (prompt: string, sampling: Sampling, count = 24, slot = 0): Promise<DrivenSequence> =>
    await driver.alone(tokenize(prompt), count, { sampling, slot })
  const answer = async (prompt: string, sampling: Sampling, count = 24): Promise<string> =>
    textOf(await draw(prompt, sampling, count))
  /** What the seeds 1 to 12 draw first. */
  const firstTokens = async (prompt: string, options: Partial<Sampling>): Promise<Set<Token>> => {
    const drawn = new Set<Token>()
    for (let seed = 1; seed <= 12; seed++) {
      const { drawn: [first] } = await draw(prompt, { ...defaultSampling(seed), ...options }, 1)
      drawn.add(first!)
    }
    return drawn
  }

  const story = ask('Tell me a story.')
  const repeating = 'one two three one two three one two three one two'

  /** One draw of a sequence whose answer has begun, and its report. */
  const drawNext = async (prompt: string, begun: readonly Token[], sampling: Sampling): Promise<DrivenSequence> => {
    const sequence = driver.sequence(tokenize(prompt), { sampling })
    sequence.history.push(...begun)
    await driver.step([[sequence]])
    driver.end(sequence)
    return sequence
  }

  /**
   * After an answer of these words, the first token of " river" is made to lead a rival, which occurs nowhere, by exactly
   * 1, both far ahead of all others. Gives whether the options let the rival win.
   */
  const drawsRival = async (
    answer: readonly string[], options: Partial<Sampling>, prompt: readonly string[] = ['Hello']
  ): Promise<boolean> => {
    const begun = answer.flatMap(tokenize)
    const [leader] = tokenize(' river')
    const [rival] = tokenize('Z')
    const context = prompt.join('')
    const logprobOf = async (token: Token): Promise<number> => {
      const forced = await drawNext(context, begun, { ...greedySampling, logprobs: 0, logitBias: [[token, 100]] })
      return forced.logprobs[0]!.logprob
    }
    const [ofLeader, ofRival] = [await logprobOf(leader!), await logprobOf(rival!)]
    const logitBias: [number, number][] = [[leader!, 51 - ofLeader], [rival!, 50 - ofRival]]
    const natural = await drawNext(context, begun, { ...greedySampling, logitBias })
    expect(natural.drawn.at(-1)).toBe(leader)
    const sequence = await drawNext(context, begun, { ...greedySampling, logitBias, ...options })
    expect([leader, rival]).toContain(sequence.drawn.at(-1))
    return sequence.drawn.at(-1) === rival
  }

  /** Whether the answer goes on with what the prompt repeats. */
  const drawsRepetition = async (options: Partial<Sampling>): Promise<boolean> => {
    const [next] = tokenize(' three')
    const { drawn: [first] } = await draw(repeating, { ...greedySampling, logitBias: [[next!, 30]], ...options }, 1)
    return first === next
  }

  // One case per option, so that an option that reaches nothing is noticed.
  const effects: { readonly [Option in keyof Sampling]: () => Promise<void> } = {
    temperature: async () => {
      expect((await firstTokens(story, { temperature: 0 })).size).toBe(1)
      expect((await firstTokens(story, { temperature: 2 })).size).toBeGreaterThan(1)
    },
    topP: async () => {
      expect((await firstTokens(story, { temperature: 2, topP: 0 })).size).toBe(1)
    },
    topK: async () => {
      expect((await firstTokens(story, { temperature: 2, topK: 2 })).size).toBe(2)
    },
    minP: async () => {
      expect((await firstTokens(story, { temperature: 2, minP: 1 })).size).toBe(1)
    },
    presencePenalty: async () => {
      expect(await drawsRival([' river', ' bridge'], { presencePenalty: 0.9 })).toBe(false)
      expect(await drawsRival([' river', ' bridge'], { presencePenalty: 1.1 })).toBe(true)
    },
    frequencyPenalty: async () => {
      expect(await drawsRival([' river', ' bridge', ' river', ' river'], { frequencyPenalty: 0.3 })).toBe(false)
      expect(await drawsRival([' river', ' bridge', ' river', ' river'], { frequencyPenalty: 0.4 })).toBe(true)
    },
    repeatPenalty: async () => {
      expect(await drawsRival([' bridge'], { repeatPenalty: 2 }, [' river'])).toBe(true)
      expect(await drawsRival([' river', ' bridge'], { repeatPenalty: 2 })).toBe(true)
    },
    repeatLastN: async () => {
      const answer = [' river', ...Array.from({ length: 4 }, () => ' bridge')]
      const lengths = answer.map((text) => tokenize(text).length)
      const tokens = lengths.reduce((sum, length) => sum + length)
      expect(await drawsRival(answer, { repeatPenalty: 2, repeatLastN: 0 })).toBe(false)
      expect(await drawsRival(answer, { repeatPenalty: 2, repeatLastN: tokens - lengths[0]! })).toBe(false)
      expect(await drawsRival(answer, { repeatPenalty: 2, repeatLastN: tokens })).toBe(true)
      expect(await drawsRival(answer, { repeatPenalty: 2, repeatLastN: -1 })).toBe(true)
    },
    // The repetition is in the prompt, where only a DRY that sees the prompt can notice it; the bias makes it be drawn.
    dryMultiplier: async () => {
      expect(await drawsRepetition({})).toBe(true)
      expect(await drawsRepetition({ dryMultiplier: 100 })).toBe(false)
    },
    dryBase: async () => {
      expect(await drawsRepetition({ dryMultiplier: 0.01, dryBase: 1 })).toBe(true)
      expect(await drawsRepetition({ dryMultiplier: 0.01, dryBase: 4 })).toBe(false)
    },
    dryAllowedLength: async () => {
      expect(await drawsRepetition({ dryMultiplier: 100, dryAllowedLength: 100 })).toBe(true)
    },
    dryPenaltyLastN: async () => {
      expect(await drawsRepetition({ dryMultiplier: 100, dryPenaltyLastN: 2 })).toBe(true)
    },
    drySequenceBreakers: async () => {
      expect(await drawsRepetition({ dryMultiplier: 100, drySequenceBreakers: [' two'] })).toBe(true)
    },
    xtcProbability: async () => {
      const plain = await draw(story, greedySampling, 1)
      const creative = await draw(story, { ...greedySampling, xtcProbability: 1, xtcThreshold: 0.01 }, 1)
      expect(creative.drawn).not.toEqual(plain.drawn)
    },
    xtcThreshold: async () => {
      const plain = await draw(story, greedySampling, 1)
      const none = await draw(story, { ...greedySampling, xtcProbability: 1, xtcThreshold: 0.6 }, 1)
      expect(none.drawn).toEqual(plain.drawn)
    },
    logitBias: async () => {
      const [wanted] = tokenize(' three')
      const forced = await draw(story, { ...greedySampling, logitBias: [[wanted!, 100]] }, 2)
      expect(forced.drawn).toEqual([wanted, wanted])
    },
    seed: async () => {
      const answers = new Set<string>()
      for (let seed = 0; seed < 8; seed++) answers.add(await answer(story, { ...defaultSampling(seed), temperature: 1.5 }))
      expect(answers.size).toBeGreaterThan(4)
    },
    logprobs: async () => {
      const { logprobs: [report] } = await draw(story, { ...greedySampling, logprobs: 3 }, 1)
      expect(report?.top).toHaveLength(3)
    },
    minTokens: async () => {
      const [plain, long] = [await draw(ask('Hello!'), greedySampling, 60), await draw(ask('Hello!'), { ...greedySampling, minTokens: 60 }, 60)]
      expect(plain.drawn.length).toBeLessThan(60)
      expect(long.drawn.length).toBe(60)
    },
    ignoreEos: async () => {
      const endless = await draw(ask('Hello!'), { ...greedySampling, ignoreEos: true }, 80)
      expect(endless.drawn.length).toBe(80)
    },
    grammar: async () => {
      expect(await answer(story, { ...greedySampling, grammar: 'root ::= ("yes" | "no") "!"' })).toMatch(/^(yes|no)!$/)
    },
    reasoningLimit: async () => {
      const free = textOf(await draw(story, { ...greedySampling, ignoreEos: true }, 8))
      for (const grammar of [null, 'root ::= [^<]* "</think>" [^0]*']) {
        const sampling: Sampling = { ...greedySampling, ignoreEos: true, grammar, reasoningLimit: { tokens: 8, open: null, close: '</think>' } }
        const { drawn } = await draw(story, sampling, 40)
        const text = Buffer.concat(drawn.map((token) => engine.tokenizer.tokenBytes(token))).toString('utf8')
        expect(text).toMatch(/^[^<]*\s*<\/think>\s*[^]+/)
        expect(text.startsWith(free)).toBe(true)
        // Also when the sequence goes on elsewhere.
        for (let begun = 0; begun < drawn.length; begun += 3) {
          expect((await drawNext(story, drawn.slice(0, begun), sampling)).drawn.at(-1)).toBe(drawn[begun])
        }
      }
    },
    grammarTrigger: async () => {
      const free = await answer(story, greedySampling)
      const trigger = free.slice(0, 4)
      expect(await answer(story, { ...greedySampling, grammar: `root ::= "${trigger}" [a-z]{0,6} [0-9]+`, grammarTrigger: trigger })).toMatch(new RegExp(`^${trigger}[a-z]{0,6}[0-9]+$`))
    }
  }

  it.each(Object.entries(effects))('%s has an effect', async (_, check) => { await check() })

  it('has a case for every option', () => {
    expect(Object.keys(effects).sort()).toEqual(Object.keys(samplingSchema.shape).sort())
  })

  it('counts presence and frequency in the answer only, and repetitions in both', async () => {
    const inPrompt = [' river', ' river']
    expect(await drawsRival([' bridge'], { presencePenalty: 2, frequencyPenalty: 2 }, inPrompt)).toBe(false)
    expect(await drawsRival([' bridge'], { presencePenalty: 2, frequencyPenalty: 2, repeatPenalty: 2 }, inPrompt)).toBe(true)
    expect(await drawsRival([' river'], { presencePenalty: 2, repeatPenalty: 2, repeatLastN: 0 })).toBe(true)
  })

  it('draws the same when a sequence moves to another slot half way', async () => {
    const sampling = {
      ...defaultSampling(99),
      temperature: 1.3,
      repeatPenalty: 1.2,
      repeatLastN: 16,
      presencePenalty: 0.5,
      frequencyPenalty: 0.5,
      dryMultiplier: 1,
      xtcProbability: 0.5,
      grammar: 'root ::= [A-Za-z .,]+'
    }
    const expected = await draw(story, sampling, 30)
    const first = driver.sequence(tokenize(story), { sampling })
    await driver.run([first], 11)
    driver.end(first)
    const resumed = driver.sequence(tokenize(story), { sampling, slot: 2 })
    resumed.history.push(...first.drawn)
    await driver.run([resumed], 30)
    driver.end(resumed)
    expect(resumed.drawn).toEqual(expected.drawn)
  })

  it('throws the dice anew for equal seeds that follow each other in one slot', async () => {
    const sampling = { ...defaultSampling(5), temperature: 2 }
    const [first, second, third] = [await draw(story, sampling, 1), await draw(story, sampling, 1), await draw(story, sampling, 1)]
    expect([second.drawn, third.drawn]).toEqual([first.drawn, first.drawn])
  })

  it('throws the dice of XTC anew as well, where nothing else is left to chance', async () => {
    const options = { temperature: 0, xtcProbability: 0.5, xtcThreshold: 0.01 }
    expect((await firstTokens(story, options)).size).toBeGreaterThan(1)
    const again = new Set<string>()
    for (let round = 0; round < 12; round++) again.add(textOf(await draw(story, { ...defaultSampling(5), ...options }, 1)))
    expect(again.size).toBe(1)
  })

  it('reports log-probabilities that are the logarithms of a whole distribution', async () => {
    const { vocabularySize } = engine.info.model
    // Twenty at a time, the rest forbidden one by one: the report must not change with the bans.
    const { logprobs: [plain] } = await draw(story, { ...greedySampling, logprobs: 20 }, 1)
    let total = 0
    for (let token = 0; token < vocabularySize; token++) {
      const forced = await draw(story, { ...greedySampling, logprobs: 0, logitBias: [[token, 100]] }, 1)
      const report = forced.logprobs[0]!
      expect(report.token).toBe(token)
      total += Math.exp(report.logprob)
      const candidate = plain!.top.find((other) => other.token === token)
      if (candidate !== undefined) expect(report.logprob).toBeCloseTo(candidate.logprob, 4)
    }
    expect(total).toBeCloseTo(1, 4)
  })

  it('does not disturb a draw by reporting log-probabilities', async () => {
    const sampling = { ...defaultSampling(3), temperature: 1.2, grammar: 'root ::= [a-z ]+' }
    const [silent, reporting] = [await draw(story, sampling), await draw(story, { ...sampling, logprobs: 5 }, 24, 1)]
    expect(reporting.drawn).toEqual(silent.drawn)
  })

  describe('grammars', () => {
    it('shape a JSON object', async () => {
      const grammar = [
        'root ::= "{" ws "\\"name\\":" ws string "," ws "\\"age\\":" ws number ws "}"',
        'string ::= "\\"" [A-Za-z ]{1,12} "\\""',
        'number ::= [1-9] [0-9]?',
        'ws ::= " "?'
      ].join('\n')
      const text = await answer(ask('Write a JSON object with a name and an age.'), { ...greedySampling, grammar }, 60)
      expect(JSON.parse(text)).toEqual({ name: expect.any(String), age: expect.any(Number) })
    })

    it('reach text beyond ASCII', async () => {
      expect(await answer(story, { ...greedySampling, grammar: 'root ::= "日本" [ぁ-ん]{2} "🌊"' }, 40)).toMatch(/^日本[ぁ-ん]{2}🌊$/u)
    })

    it('end the answer where nothing can follow, whatever forbids the end', async () => {
      for (const options of [{ minTokens: 20 }, { ignoreEos: true }]) {
        const sequence = await draw(story, { ...greedySampling, grammar: 'root ::= "yes"', ...options }, 10)
        expect(textOf(sequence)).toBe('yes')
        expect(engine.info.endTokens).toContain(sequence.drawn.at(-1))
      }
    })

    it('fail one sequence at a dead end, and leave the others of the step alone', async () => {
      // The only byte that could follow is forbidden.
      const [a] = tokenize('a')
      const stuck = driver.sequence(tokenize(story), { slot: 0, sampling: { ...greedySampling, grammar: 'root ::= "a"', logitBias: [[a!, -100]] } })
      const fine = driver.sequence(tokenize(story), { slot: 1, sampling: greedySampling })
      const outcomes = await engine.step({
        ...{ id: 1_000_000, lane: fine.lane, threads: 1, adapters: fine.adapters, released: [] },
        work: [driver.work(stuck), driver.work(fine)]
      })
      expect(outcomes).toContainEqual({ slot: 0, error: expect.objectContaining({ code: 'invalid_grammar', param: 'grammar' }) })
      expect(outcomes).toContainEqual(expect.objectContaining({ slot: 1, token: expect.any(Number) }))
      expect(await answer(story, greedySampling, 4)).toBe(textOf(await draw(story, greedySampling, 4, 2)))
    })

    it('fail one sequence when its draws take too long, and leave the others of the step alone', async () => {
      await using limited = await createLlamaCppEngine({ ...options, grammarDrawLimits: { slowMs: -1, stuckMs: 60_000 } })
      const lever = new EngineDriver(limited)
      const slow = lever.sequence(tokenize(story), { slot: 0, sampling: { ...greedySampling, grammar: 'root ::= [a-z]+' } })
      const fine = lever.sequence(tokenize(story), { slot: 1, sampling: greedySampling })
      const outcomes = await limited.step({
        ...{ id: 1_000_000, lane: fine.lane, threads: 1, adapters: fine.adapters, released: [] },
        work: [lever.work(slow), lever.work(fine)]
      })
      expect(outcomes).toContainEqual({ slot: 0, error: expect.objectContaining({ code: 'invalid_grammar', param: 'grammar' }) })
      expect(outcomes).toContainEqual(expect.objectContaining({ slot: 1, token: expect.any(Number) }))
    })

    it('count from a text on, wherever in a token it begins', async () => {
      const free = await answer(story, greedySampling, 40)
      let begun = 0
      for (let at = 5; at < 30; at++) {
        const trigger = free.slice(at, at + 3)
        if (free.indexOf(trigger) !== at || /["\\\n]/.test(trigger)) continue
        // Letters may follow in the token that completes the text; they are drawn already.
        const text = await answer(story, { ...greedySampling, grammar: `root ::= "${trigger}" [a-z,. ]* [0-9]{3}`, grammarTrigger: trigger }, 40)
        expect(text.startsWith(free.slice(0, at + 3))).toBe(true)
        expect(text.slice(at + 3)).toMatch(/^[a-z,. ]*\d{0,3}$/)
        begun++
      }
      expect(begun).toBeGreaterThan(10)
    })

    it('count from a text on, also when a sequence goes on elsewhere', async () => {
      const free = await answer(story, greedySampling, 40)
      const trigger = free.slice(6, 10)
      const sampling = { ...greedySampling, grammar: `root ::= "${trigger}" [a-z]{0,6} [0-9]{20}`, grammarTrigger: trigger }
      const { drawn } = await draw(story, sampling, 24)
      for (let begun = 0; begun < drawn.length; begun++) {
        const next = await drawNext(story, drawn.slice(0, begun), sampling)
        expect(next.drawn.at(-1)).toBe(drawn[begun])
      }
    })

    it('are dropped where they do not allow the text from which they count', async () => {
      const free = await answer(story, greedySampling, 40)
      expect(await answer(story, { ...greedySampling, grammar: 'root ::= "zzz"', grammarTrigger: free.slice(6, 10) }, 40)).toBe(free)
      expect(await answer(story, { ...greedySampling, grammar: 'root ::= "zzz"', grammarTrigger: 'never written' }, 40)).toBe(free)
    })

    it('stop a sequence whose history does not follow them', async () => {
      const strayed = driver.sequence(tokenize(story), { sampling: { ...greedySampling, grammar: 'root ::= [0-9]+' } })
      strayed.history.push(...tokenize('hello'))
      await expect(driver.step([[strayed]])).rejects.toThrow()
    })

    it.each([
      ['has no root', 'start ::= "a"'],
      ['is empty', ' '],
      ['refers to nothing', 'root ::= a'],
      ['is left-recursive', 'root ::= root "a" | "b"'],
      ['hides a left recursion behind rules that become empty through others', 'root ::= a root c | "x"\na ::= b\nb ::= ""\nc ::= "c"'],
      ['nests deeply', `root ::= ${'('.repeat(20_000)}"a"${')'.repeat(20_000)}`],
      ['grows beyond measure', `root ::= "${'a'.repeat(30_000)}"{2000}`],
      ['counts backwards', 'root ::= "a"{3,2}'],
      ['uses its rules again and again', Array.from({ length: 60 }, (_, i) => `r${i} ::= r${i + 1} "a" | r${i + 1} "b"`).join('\n') + '\nr60 ::= "c"\nroot ::= r0'],
      ['names tokens', 'root ::= <|im_end|>']
    ])('are refused when one %s', (_, grammar) => {
      expect(() => { engine.checkGrammar(grammar) }).toThrow(expect.objectContaining({ code: 'invalid_grammar' }))
    })

    it('may repeat what can be empty', async () => {
      for (const grammar of ['root ::= ("a"?)* "."', 'root ::= (ws)* "."\nws ::= [ ]*', 'root ::= list "."\nlist ::= | b list\nb ::= "b"?']) {
        expect(await answer(story, { ...greedySampling, grammar, logitBias: [[tokenize('.')[0]!, 5]] }, 8)).toMatch(/^[ab ]*\.?$/)
      }
    })

    it('are accepted when llama.cpp takes them', () => {
      engine.checkGrammar('# a comment\nroot ::= (greeting | [^\\n"]) ws\n\ngreeting ::= "hello"{1,3} | "h\\x69"? . | "\\u00e9"\nws ::= [ \\t\\n]*\n')
    })
  })
})
