import { describe, expect, it } from 'vitest'
import { dialectOf } from '../../../../src/chat/dialects/dialects.ts'
import type { ToolDialect } from '../../../../src/domain/tool-dialect.ts'

/** What is particular to the chat templates of each family, as they have it. */
const templates: readonly (readonly [family: string, template: string, dialect: ToolDialect])[] = [
  ['Qwen 2.5', '<|im_start|>{{ \'<tool_call>\\n{"name": "\' }}</tool_call>', 'hermes'],
  ['Qwen3-Coder', '<tool_call>\\n<function=example_function_name>\\n<parameter=example_parameter_1>\\nvalue_1\\n</parameter>', 'qwen-coder'],
  ['Seed-OSS', '{%- set toolcall_begin_token = \'<seed:tool_call>\' -%}<function=example_function_name>\\n<parameter=example_parameter_1>', 'qwen-coder'],
  ['GLM 4.6', '<tool_call>{function-name}\n<arg_key>{arg-key-1}</arg_key>\n<arg_value>{arg-value-1}</arg_value>', 'glm'],
  ['MiniMax M2', '{%- set toolcall_begin_token = \'<minimax:tool_call>\' -%}<invoke name="tool-name-1">\n<parameter name="param-key-1">', 'minimax'],
  ['Kimi K2', '<|im_system|>tool_declare<|im_middle|>{{ tools | tojson }}<|im_end|>', 'kimi'],
  ['Kimi K2 Thinking', '<|tool_calls_section_begin|><|tool_call_begin|>{{ formatted_id }}<|tool_call_argument_begin|>', 'kimi'],
  ['Command R7B', 'write <|START_ACTION|> followed by a list of JSON-formatted tool calls, ```json\n[', 'cohere'],
  ['Nemotron Nano 2', '<SPECIAL_10>System\n<TOOLCALL>[{{"name": "tool_name1", "arguments": "tool_args1"}}]</TOOLCALL>', 'nemotron'],
  ['Phi-4-mini', '<|tool|>{{ tools }}<|/tool|><|tool_call|>', 'phi'],
  ['LFM2', '<|im_start|>List of tools: <|tool_list_start|>[', 'lfm'],
  ['Llama 3.1', '<|start_header_id|>system<|end_header_id|>Environment: ipython', 'llama'],
  ['Llama 4', '<|header_start|>system<|header_end|>Environment: ipython', 'llama'],
  ['Llama 4 with Python calls', '<|header_start|>ipython<|header_end|> Use exact format: [func_name1(param1=value1, param2=value2), func_name2(...)]', 'pythonic'],
  ['Mistral', '[AVAILABLE_TOOLS][TOOL_CALLS]', 'mistral'],
  ['DeepSeek V3.1', '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>', 'deepseek'],
  ['Granite 3', '<|start_of_role|>assistant<|end_of_role|><|tool_call|>', 'granite'],
  ['Granite 4', '<|start_of_role|>assistant<|end_of_role|><tool_call></tool_call>', 'hermes'],
  ['Gemma 3', '<start_of_turn>model', 'gemma'],
  ['gpt-oss', '<|channel|>commentary<|message|>', 'harmony'],
  ['Functionary v3.2', '>>>all\n', 'functionary'],
  ['Functionary v3.1', '<function=example_function_name>{{ "{" }}', 'functionary'],
  ['ChatML', '<|im_start|>user', 'generic']
]

describe('the dialect of a template', () => {
  it.each(templates)('is found for %s', (_family, template, dialect) => {
    expect(dialectOf(template).name).toBe(dialect)
  })

  it('is the generic one without a template', () => {
    expect(dialectOf(null).name).toBe('generic')
  })
})
