const sampling = {
  temperature: '0 is greedy.',
  top_p: 'The smallest set of tokens whose probabilities add up to this.',
  top_k: 'The most likely tokens that are kept; 0 and −1 keep all.',
  min_p: 'Tokens less likely than this share of the most likely one are dropped.',
  presence_penalty: 'Subtracted from the logit of every token that the answer holds already.',
  frequency_penalty: 'Subtracted from the logit of a token once for each time that the answer holds it.',
  repeat_penalty: 'Divides the logits of recent tokens of prompt and answer; 1 is off.',
  repetition_penalty: 'Another name of `repeat_penalty`.',
  repeat_last_n: 'How many recent tokens the repeat penalty looks at; −1 is the whole context.',
  dry_multiplier: 'DRY: strength of the penalty on extending a repetition; 0 is off.',
  dry_base: 'DRY: how the penalty grows with the length of the repetition.',
  dry_allowed_length: 'DRY: repetitions up to this many tokens are free.',
  dry_penalty_last_n: 'DRY: how many recent tokens it looks at; −1 is the whole context.',
  dry_sequence_breakers: 'DRY: texts that end a repetition.',
  xtc_probability: 'XTC: chance that all but the least likely token above the threshold are dropped; 0 is off.',
  xtc_threshold: 'XTC: how likely a token has to be.',
  logit_bias: 'Numbers of tokens and what is added to their logits.',
  seed: 'The same seed gives the same answer, whatever else runs; −1 is random.',
  min_tokens: 'The answer cannot end before.',
  ignore_eos: 'Whether the answer ends only at a limit or a stop text.',
  stop: 'Texts that end the answer and are no part of it.'
}

const form = {
  grammar: 'GBNF that the answer follows.',
  response_format: 'What the answer looks like: text, JSON, or JSON that fits a schema.',
  structured_outputs: 'The same, as vLLM has it: one of its members.',
  tools: 'Functions that the model may call.',
  tool_choice: 'Whether, and which, tools are called.',
  parallel_tool_calls: 'Whether one answer may call several tools.',
  reasoning_effort: 'How much to reason, for models whose template knows it.',
  reasoning_budget: 'Most tokens of reasoning; −1 is no limit.',
  reasoning_budget_tokens: 'Another name of `reasoning_budget`.',
  thinking_token_budget: 'Another name of `reasoning_budget`.',
  reasoning_format: '`none` leaves reasoning in the content.',
  chat_template_kwargs: 'Variables of the chat template.',
  continue_final_message: 'Whether the answer goes on with the last message, which is the assistant\'s.',
  add_generation_prompt: 'The opposite of `continue_final_message`.',
  prediction: 'What the answer is likely to repeat; a guess that makes it faster where it is right.'
}

const shared = {
  model: 'A model, an adapter, or `base:adapter`.',
  messages: 'The conversation so far.',
  stream: 'Whether the answer comes as server-sent events.',
  stream_options: 'What a stream says besides.',
  n: 'How many answers.',
  max_tokens: 'Most tokens of the answer.',
  max_completion_tokens: 'Most tokens of the answer; wins over `max_tokens`.',
  logprobs: 'Whether log-probabilities are told; for completions, of how many tokens beside the drawn one.',
  top_logprobs: 'Of how many alternatives.',
  service_tier: 'How urgent it is.',
  priority: 'The same, as vLLM has it: less is sooner. Of a key, the class of its requests that do not say.',
  lora: 'Adapters beside that of `model`, with their scales.',
  prompt: 'A text, texts, tokens, or lists of tokens.',
  echo: 'Whether the prompt is told before the answer.',
  best_of: 'Equal to `n`.',
  metadata: 'Texts by name.'
}

const responses = {
  input: 'A text or items; of embeddings: a text, texts, tokens, or lists of tokens.',
  instructions: 'A system message for this response alone.',
  previous_response_id: 'The response that this one goes on from.',
  conversation: 'The conversation that this response belongs to.',
  text: 'What texts of the answer look like.',
  reasoning: 'How much to reason, and where reasoning is told.',
  max_output_tokens: 'Most tokens of the answer.',
  max_tool_calls: 'Given back; there are no hosted tools.',
  include: 'What is told besides.',
  store: 'Whether it is kept for later requests.',
  background: 'Whether it is made without its client.',
  user: 'Given back.',
  safety_identifier: 'Given back.',
  prompt_cache_key: 'Given back; the prefix cache is always on.',
  prompt_cache_retention: 'Given back; the prefix cache is always on.',
  items: 'Items of the conversation.'
}

const messages = {
  system: 'The system prompt.',
  thinking: 'Whether to reason.',
  output_config: 'What the answer looks like, and how much to reason.',
  output_format: 'The older place of `output_config.format`.',
  cache_control: 'Without effect: the prefix cache is always on.',
  stop_sequences: 'Texts that end the answer and are no part of it.'
}

const others = {
  encoding_format: 'Numbers, or the base64 of 32-bit floats.',
  dimensions: 'Numbers of each vector: its first ones, made 1 long again.',
  query: 'What documents are ranked by.',
  documents: 'Texts, or objects that hold them.',
  top_n: 'How many of the best documents are told; all where nothing is said.',
  return_documents: 'Whether their texts are told.',
  name: 'Name of the adapter; of a key, words for people.',
  source: 'A path in the adapter folder, `https:` or `hf:`.',
  scale: 'The scale of requests that name none.',
  pinned: 'Whether it stays in memory however long nobody asks for it.',
  replace: 'Whether an adapter of that name is replaced.',
  expected_generation: 'The version that has to be there; another one is a conflict.',
  lora_name: 'Name of the adapter; of a key, words for people.',
  lora_path: 'A path in the adapter folder, `https:` or `hf:`.',
  lora_int_id: 'Without effect: the name is enough.',
  load_inplace: 'Whether an adapter of that name is replaced.',
  content: 'The text, in llama-server\'s form.',
  add_special: 'Whether tokens that begin a text are added.',
  parse_special: 'Whether texts of control tokens become those tokens.',
  with_pieces: 'Whether the text of each token is told.',
  add_special_tokens: 'Whether tokens that begin a text are added.',
  return_token_strs: 'Whether the text of each token is told.',
  tokens: 'Numbers of tokens.'
}

const keys = {
  owner: 'Who is charged; keys of one owner are one tenant.',
  scopes: 'What the key is for.',
  models: 'Patterns of the models that it may use, by their ids; `*` stands for any characters. All where nothing is said.',
  adapters: 'Patterns of the adapters that it may use, by their names.',
  weight: 'Its requests\' share of the service beside other tenants\'.',
  highest_priority: 'The most urgent class that its requests may ask for.',
  limits: 'What may be used in a minute, a day or a month, at once, and in one request; `off` is no limit. docs/limits.md says more.',
  names_users: 'Whether a header of its requests may name the user who is charged.',
  expires_at: 'When it ends, in seconds since 1970; never where nothing is said.',
  expires_in: 'In how many seconds it ends; in the place of `expires_at`.',
  overlap: 'How many seconds the old key goes on working.'
}

const batches = {
  file: 'The file.',
  purpose: 'What it is for.',
  expires_after: 'When it goes; as the server has it where nothing is said.',
  input_file_id: 'The file of its requests.',
  endpoint: 'What all of its requests are for.',
  completion_window: 'How long it may take.',
  output_expires_after: 'When its files go; as the server has it where nothing is said.'
}

/** What members of requests are, in a sentence, by their names: the same ones mean the same everywhere. */
export const memberDescriptions: Readonly<Record<string, string>> = { ...sampling, ...form, ...shared, ...responses, ...messages, ...others, ...keys, ...batches }
