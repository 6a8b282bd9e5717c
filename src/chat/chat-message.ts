/** A call of a tool in an assistant's message. */
export interface ToolCall {
  readonly id: string
  readonly name: string
  /** JSON text as a rule; whatever the model wrote. */
  readonly arguments: string
}

/** A tool that a request offers. */
export interface ToolDefinition {
  readonly name: string
  readonly description?: string | undefined
  /** JSON Schema of the arguments; a tool without one takes none. */
  readonly parameters?: Readonly<Record<string, unknown>> | undefined
  /** Whether the arguments must follow the schema. */
  readonly isStrict: boolean
}

/** One message of a conversation, as a chat template sees it. */
export interface ChatMessage {
  readonly role: 'system' | 'developer' | 'user' | 'assistant' | 'tool'
  readonly content: string
  /** Tells participants of the same role apart; few templates show it. */
  readonly name?: string | undefined
  /** What an assistant's message calls; never empty. */
  readonly toolCalls?: readonly ToolCall[] | undefined
  /** Which call a tool's message answers. */
  readonly toolCallId?: string | undefined
  /** What the assistant thought before it answered. */
  readonly reasoning?: string | undefined
}
