type ItemStatus = 'in_progress' | 'completed' | 'incomplete'

export interface InputText {
  type: 'input_text'
  text: string
}

/** What an API answer says of a token beside its text; a part of OpenAI's `ResponseOutputText`. */
export interface OutputLogprob {
  token: string
  logprob: number
  bytes: number[]
  top_logprobs: { token: string, logprob: number, bytes: number[] }[]
}

export interface OutputText {
  type: 'output_text'
  text: string
  annotations: []
  logprobs: OutputLogprob[]
}

export interface InputMessage {
  id: string
  type: 'message'
  status: ItemStatus
  role: 'user' | 'system' | 'developer'
  content: InputText[]
}

export interface OutputMessage {
  id: string
  type: 'message'
  status: ItemStatus
  role: 'assistant'
  content: (OutputText | { type: 'refusal', refusal: string })[]
}

export interface FunctionCall {
  id: string
  type: 'function_call'
  status: ItemStatus
  call_id: string
  name: string
  /** JSON text as a rule; whatever the model wrote. */
  arguments: string
}

export interface FunctionCallOutput {
  id: string
  type: 'function_call_output'
  status: ItemStatus
  call_id: string
  output: string | InputText[]
}

export interface ReasoningItem {
  id: string
  type: 'reasoning'
  status: ItemStatus
  summary: { type: 'summary_text', text: string }[]
  content: { type: 'reasoning_text', text: string }[]
  encrypted_content: string | null
}

/** What a response gives; the part of OpenAI's `ResponseOutputItem` that this server knows. */
export type OutputItem = OutputMessage | FunctionCall | ReasoningItem

/** One item of a conversation as it is kept and told, on the wire's terms; a part of OpenAI's `ResponseItem`. */
export type ResponseItem = InputMessage | FunctionCallOutput | OutputItem
