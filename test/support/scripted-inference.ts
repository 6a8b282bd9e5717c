import { ServerError } from '../../src/domain/errors.ts'
import { asLaneId, asToken, type Token } from '../../src/domain/ids.ts'
import type { EngineInfo, ModelInfo } from '../../src/engine/engine.ts'
import type { GenerationEvent, GenerationRequest, Inference, InferenceSnapshot, PredictionCounts, Prompt } from '../../src/inference/inference.ts'

/** What a scripted request does next: an event, an error, or a pause until the promise settles or the client goes. */
export type ScriptStep = GenerationEvent | { readonly type: 'throw', readonly error: Error } | { readonly type: 'wait', readonly until: Promise<unknown> }

export interface ScriptedInferenceOptions {
  readonly info?: Partial<Omit<EngineInfo, 'model'>>
  readonly model?: Partial<ModelInfo>
  readonly snapshot?: Partial<InferenceSnapshot>
}

/** An inference that does exactly what a test says, event by event: for slow, failing and enormous streams. */
export interface ScriptedInference extends Inference {
  /** Every request it was given. */
  readonly requests: readonly GenerationRequest[]
  /** Ids of the requests that were given up before their end. */
  readonly aborted: readonly string[]
  /** Settles when a request has been given up. */
  readonly nextAbort: () => Promise<void>
}

const textEncoder = new TextEncoder()

/** The events of an answer to one prompt, text by text, for each choice in turn. */
export function answerEvents (texts: readonly string[], options: { promptTokens?: number, cachedTokens?: number, choices?: number, reason?: 'stop' | 'length', withLogprobs?: boolean, prediction?: PredictionCounts } = {}): GenerationEvent[] {
  const { promptTokens = 5, cachedTokens = 2, choices = 1, reason = 'stop', withLogprobs = false, prediction } = options
  const events: GenerationEvent[] = [{ type: 'accepted', promptTokens }]
  for (let choice = 0; choice < choices; choice++) events.push({ type: 'choice-started', choice, cachedTokens, queuedMs: 3 })
  for (const [index, text] of texts.entries()) {
    for (let choice = 0; choice < choices; choice++) {
      const bytes = withLogprobs ? [...textEncoder.encode(text)] : []
      events.push({
        type: 'text',
        choice,
        text,
        drawnTokens: index + 1,
        ...(withLogprobs ? { logprobs: [{ token: text, logprob: -0.5, bytes, top: [{ token: text, logprob: -0.5, bytes }, { token: 'x', logprob: -Infinity, bytes: [120] }] }] } : {})
      })
    }
  }
  for (let choice = 0; choice < choices; choice++) {
    events.push({ type: 'choice-finished', choice, reason, stopText: null, completionTokens: texts.length })
  }
  events.push({ type: 'finished', promptTokens, cachedTokens, completionTokens: texts.length * choices, ...(prediction === undefined ? {} : { prediction }) })
  return events
}

export const scriptedModel: ModelInfo = {
  architecture: 'scripted',
  name: 'Scripted',
  parameterCount: 1,
  sizeBytes: 1,
  trainContextSize: 2048,
  vocabularySize: 256,
  longestTokenBytes: 1,
  chatTemplate: '{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}',
  bosText: '',
  eosText: '<|end|>',
  bosToken: asToken(1),
  addsBos: true,
  controlTexts: ['<|system|>', '<|user|>', '<|assistant|>', '<|end|>']
}

/** @param script what a request does; its tokens are the bytes of its text */
export function createScriptedInference (script: (request: GenerationRequest) => readonly ScriptStep[], options: ScriptedInferenceOptions = {}): ScriptedInference {
  const requests: GenerationRequest[] = []
  const aborted: string[] = []
  let abortWaiters: (() => void)[] = []
  const model = { ...scriptedModel, ...options.model }
  const info: EngineInfo = {
    model,
    backend: 'scripted',
    build: 'test',
    flashAttention: false,
    placement: 'nowhere',
    isOnGpu: false,
    laneCount: 1,
    slotsPerLane: 4,
    contextSize: 1024,
    maxStepTokens: 512,
    threads: 1,
    endTokens: [],
    ...options.info
  }

  const tokensOf = (prompt: Prompt): readonly Token[] => 'tokens' in prompt
    ? prompt.tokens
    : [...textEncoder.encode(prompt.segments.map(({ text }) => text).join(''))].map(asToken)

  async function * generate (request: GenerationRequest, signal: AbortSignal): AsyncIterable<GenerationEvent> {
    requests.push(request)
    let abort = (): void => {}
    const gone = new Promise<never>((_resolve, reject) => {
      abort = () => reject(new ServerError('request_aborted', 'The client has gone'))
    })
    gone.catch(() => {})
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    let isComplete = false
    try {
      for (const step of script(request)) {
        if (signal.aborted) await gone
        if (step.type === 'wait') await Promise.race([step.until, gone])
        else if (step.type === 'throw') throw step.error
        else yield step
      }
      isComplete = true
    } finally {
      signal.removeEventListener('abort', abort)
      if (!isComplete && signal.aborted) {
        aborted.push(request.id)
        for (const wake of abortWaiters) wake()
        abortWaiters = []
      }
    }
  }

  return {
    info,
    requests,
    aborted,
    nextAbort: async () => await new Promise((resolve) => { abortWaiters.push(resolve) }),
    generate,
    embed: async function * () { throw new ServerError('unsupported_value', 'The script has no vectors') },
    tokenize: async (prompt, { addBos }) => [...(addBos ? [asToken(1)] : []), ...tokensOf(prompt)],
    detokenize: async (tokens) => new TextDecoder().decode(Uint8Array.from(tokens)),
    snapshot: () => ({
      waiting: 0,
      displaced: 0,
      running: 0,
      lanes: [{ lane: asLaneId(0), slotCount: 4, busySlots: 1, isStepping: false, threads: 2, cachedTokens: 7 }],
      contextSize: info.contextSize,
      steps: 11,
      adapterSwitches: 8,
      promptTokens: 100,
      embeddedInputs: 12,
      prefixQueriedTokens: 40,
      prefixHitTokens: 10,
      drawnTokens: 50,
      parkedCaches: 5,
      parkedBytes: 6000,
      cachesParked: 9,
      cachesRestored: 8,
      restoredTokens: 4000,
      cachesEvicted: 4,
      preempted: 5,
      recomputedTokens: 6,
      guessedTokens: 9,
      rightGuesses: 4,
      draftedTokens: 6,
      rightDrafts: 3,
      added: 3,
      finished: 2,
      failed: 0,
      aborted: 0,
      stepSeconds: 1.5,
      lastStepAt: null,
      requests: 1,
      ...options.snapshot
    }),
    close: async () => {},
    destroy: async () => {},
    [Symbol.asyncDispose]: async () => {}
  }
}
