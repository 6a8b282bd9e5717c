import type { ModelInfo } from '../engine.ts'
import type { Vocabulary } from './vocabulary.ts'

/** ChatML without any refinement: the template that many small models have. */
const chatTemplate = `{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}`

/** What the fake engine says of its model. */
export function createFakeModelInfo (vocabulary: Vocabulary, contextSize: number): ModelInfo {
  return {
    architecture: 'fake',
    name: 'Fake',
    parameterCount: 0,
    sizeBytes: 0,
    trainContextSize: contextSize,
    vocabularySize: vocabulary.entries.length,
    longestTokenBytes: Math.max(...vocabulary.entries.map(({ text, bytes }) => Math.max(bytes.length, Buffer.byteLength(text)))),
    chatTemplate,
    bosText: '',
    eosText: '<|im_end|>',
    bosToken: null,
    addsBos: false,
    controlTexts: Object.keys(vocabulary.control)
  }
}
