import type { EngineInfo } from '../../../src/engine/engine.ts'
import { describe, expect, it } from 'vitest'
import { startScreen, type StartScreen } from '../../../src/cli/start-screen.ts'

const info: EngineInfo = {
  model: {
    architecture: 'llama',
    name: 'Drawbridge Demo',
    parameterCount: 1_820_352,
    sizeBytes: 1_994_880,
    trainContextSize: 2048,
    vocabularySize: 1792,
    longestTokenBytes: 16,
    chatTemplate: null,
    bosText: '',
    eosText: '',
    bosToken: null,
    addsBos: false,
    controlTexts: []
  },
  backend: 'llama-cpp',
  build: 'x',
  flashAttention: false,
  placement: 'cpu',
  isOnGpu: false,
  laneCount: 1,
  slotsPerLane: 8,
  contextSize: 2048,
  maxStepTokens: 512,
  threads: 2,
  endTokens: []
}

const screen: StartScreen = {
  version: '1.2.3',
  origins: ['http://127.0.0.1:8080'],
  models: [{ id: 'drawbridge-demo', info, quantization: 'Q8_0' }],
  adapters: [],
  keyCount: 0,
  isPublic: false,
  command: 'npm start --',
  isColoured: false
}

describe('start screen', () => {
  it('tells of a draft model', () => {
    const withDraft = (name: string | null, parameterCount: number): string => startScreen({
      ...screen, models: [{ id: 'drawbridge-demo', info: { ...info, draftModel: { name, parameterCount, sizeBytes: 1 } }, quantization: 'Q8_0' }]
    })
    expect(withDraft('Drawbridge Demo Draft', 393_696)).toContain('cpu, 2 threads\n          guesses ahead with Drawbridge Demo Draft, 394K parameters\n')
    expect(withDraft(null, 0)).toContain('guesses ahead with a draft model\n')
  })

  it('names adapters, as far as a line can', () => {
    const adapters = ['pirate', 'shout', ...Array.from({ length: 9 }, (_, index) => `a${index}`)]
    expect(startScreen({ ...screen, adapters })).toContain('  Adapters  pirate, shout, a0, a1, a2, a3, a4, a5 and 3 more\n  Access    no key')
  })

  it('tells a newcomer where the API is, what it serves, and what to do next', () => {
    expect(startScreen(screen)).toMatchInlineSnapshot(`
      "
        Drawbridge 1.2.3

        API     http://127.0.0.1:8080/v1
        Model   drawbridge-demo  llama, 1.8M parameters, Q8_0, 1.9 MiB
                8 answers at a time, 2048 tokens each; cpu, 2 threads
        Access  no key needed; only this machine can connect
        Health  http://127.0.0.1:8080/health, /ready, /metrics

        Try it in another terminal:

          curl http://127.0.0.1:8080/v1/chat/completions \\
            -H 'Content-Type: application/json' \\
            -d '{"model":"drawbridge-demo","messages":[{"role":"user","content":"Hello!"}],"temperature":0}'

        From a program, with the openai package of JavaScript or Python:

          new OpenAI({ baseURL: 'http://127.0.0.1:8080/v1', apiKey: 'none' })
          OpenAI(base_url="http://127.0.0.1:8080/v1", api_key="none")

        Next
          your own model    npm start -- --model path/to/model.gguf
          all options       npm start -- --help
          stop              Ctrl+C

      "
    `)
  })

  it('says how to send a key without showing one', () => {
    const text = startScreen({ ...screen, keyCount: 2, isPublic: true, origins: ['http://127.0.0.1:8080', 'http://192.168.1.5:8080'] })
    expect(text).toContain('Access  2 API keys, sent as "Authorization: Bearer KEY"')
    expect(text).toContain('-H "Authorization: Bearer $API_KEY" \\\n')
    expect(text).toContain("apiKey: 'YOUR_KEY'")
    expect(text).toContain('          http://192.168.1.5:8080/v1\n')
  })

  it('warns when everybody may come in', () => {
    expect(startScreen({ ...screen, isPublic: true })).toContain('open to everybody who can reach this address')
  })

  it("quotes a model's name for the shell", () => {
    const text = startScreen({ ...screen, models: [{ id: "ann's", info: { ...info, laneCount: 2, slotsPerLane: 1, threads: 1, contextSize: 512 }, quantization: null }] })
    expect(text).toContain('-d \'{"model":"ann\'\\\'\'s","messages"')
    expect(text).toContain('2 answers at a time in 2 lanes, 512 tokens each; cpu, 1 thread\n')
    expect(text).toContain('llama, 1.8M parameters, 1.9 MiB\n')
  })

  it('has colours only where they are wanted', () => {
    expect(startScreen(screen)).not.toContain('\u001B')
    expect(startScreen({ ...screen, isColoured: true })).toContain('\u001B[1mDrawbridge 1.2.3')
  })

  it('says what an embedding model does, and how to ask it', () => {
    const embedding = { pooling: 'mean', size: 384, maxTokens: 512, laneCount: 2, frame: { before: [], between: [], after: [] } } as const
    const show = (changes: Partial<EngineInfo>): string =>
      startScreen({ ...screen, models: [{ id: 'some-model', info: { ...info, ...changes }, quantization: 'Q8_0' }] })
    const embedder = show({ canGenerate: false, embedding })
    expect(embedder).toContain('embeddings of 384 numbers, 2 inputs at a time, up to 512 tokens each; cpu, 2 threads')
    expect(embedder).toContain('/v1/embeddings')
    expect(embedder).not.toContain('chat/completions')
    const reranker = show({ canGenerate: false, embedding: { ...embedding, pooling: 'rank', size: 1, laneCount: 1 } })
    expect(reranker).toContain('ranks documents, one input at a time, up to 512 tokens each')
    expect(reranker).toContain('/v1/rerank')
    const both = show({ embedding })
    expect(both).toContain('8 answers at a time, 2048 tokens each, and embeddings; cpu')
    expect(both).toContain('chat/completions')
  })
})
