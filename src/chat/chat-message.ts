/** One message of a conversation, as a chat template sees it. */
export interface ChatMessage {
  readonly role: 'system' | 'developer' | 'user' | 'assistant'
  readonly content: string
  /** Tells participants of the same role apart; few templates show it. */
  readonly name?: string | undefined
}
