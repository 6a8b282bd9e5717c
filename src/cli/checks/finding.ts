/** What was found of one thing that a server needs. A problem keeps it from starting, or its clients from using it. */
export interface Finding {
  readonly about: string
  readonly state: 'ok' | 'warning' | 'problem'
  /** A sentence, without its full stop. */
  readonly text: string
}
