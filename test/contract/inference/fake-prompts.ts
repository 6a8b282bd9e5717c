/** Some end their answers early, some late; all answers differ. */
export const fakePrompts: readonly string[] = [
  'Tell me of the harbour.', 'What does the fox carry?', 'Where is the lantern?', 'Name a mountain and its clouds.',
  'Who opens the gate of the castle at night?'
].map((question) => `<|im_start|>user\n${question}<|im_end|>\n<|im_start|>assistant\n`)
