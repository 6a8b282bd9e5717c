import { adapterListSchema, adapterScaleListSchema, adapterSchema, successSchema } from '../../schemas/answers/adapter.ts'
import { adapterQuerySchema, adapterScalesSchema, loadAdapterSchema, loadLoraAdapterSchema, unloadLoraAdapterSchema } from '../../schemas/adapter-requests.ts'
import { accessErrors, adapterErrors, queryErrors } from '../error-codes.ts'
import type { Operation } from '../operation.ts'

const tag = 'Adapters'
const name = { name: 'Name of an adapter; slashes need not be encoded' }
const forAdmins = 'Needs a key with the scope `adapters`, or without keys a program on this machine.'

export const adapterOperations: readonly Operation[] = [
  {
    id: 'listAdapters',
    method: 'get',
    paths: ['/v1/adapters'],
    tag,
    summary: 'The adapters, in all their states',
    answers: { 200: { description: 'The adapters', json: adapterListSchema } },
    errors: accessErrors
  },
  {
    id: 'loadAdapter',
    method: 'post',
    paths: ['/v1/adapters'],
    tag,
    summary: 'Loads an adapter',
    description: forAdmins,
    body: { schemas: [loadAdapterSchema], example: { name: 'pirate', source: 'pirate.gguf' } },
    answers: {
      200: { description: 'The adapter: a new version of one that was there', json: adapterSchema },
      201: { description: 'The adapter: it was not there before', json: adapterSchema }
    },
    errors: adapterErrors
  },
  {
    id: 'retrieveAdapter',
    method: 'get',
    paths: ['/v1/adapters/{name}'],
    tag,
    summary: 'One adapter',
    pathParameters: name,
    query: adapterQuerySchema,
    answers: { 200: { description: 'The adapter', json: adapterSchema } },
    errors: [...accessErrors, ...queryErrors, 'model_not_found', 'adapter_not_found']
  },
  {
    id: 'unloadAdapter',
    method: 'delete',
    paths: ['/v1/adapters/{name}'],
    tag,
    summary: 'Unloads an adapter',
    description: `Answers under way end with it. ${forAdmins}`,
    pathParameters: name,
    query: adapterQuerySchema,
    answers: { 200: { description: 'The adapter as it was', json: adapterSchema } },
    errors: [...accessErrors, ...queryErrors, 'model_not_found', 'adapter_not_found', 'adapter_conflict']
  },
  {
    id: 'loadLoraAdapter',
    method: 'post',
    paths: ['/v1/load_lora_adapter'],
    tag,
    summary: 'Loads an adapter, as vLLM does',
    description: forAdmins,
    body: { schemas: [loadLoraAdapterSchema], example: { lora_name: 'pirate', lora_path: 'pirate.gguf' } },
    answers: { 200: { description: 'It is there', text: 'text/plain' } },
    errors: adapterErrors,
    errorShape: 'vllm'
  },
  {
    id: 'unloadLoraAdapter',
    method: 'post',
    paths: ['/v1/unload_lora_adapter'],
    tag,
    summary: 'Unloads an adapter, as vLLM does',
    description: forAdmins,
    body: { schemas: [unloadLoraAdapterSchema], example: { lora_name: 'pirate' } },
    answers: { 200: { description: 'It is gone', text: 'text/plain' } },
    errors: adapterErrors,
    errorShape: 'vllm'
  },
  {
    id: 'listAdapterScales',
    method: 'get',
    paths: ['/lora-adapters'],
    tag,
    summary: 'The adapters by number, as llama-server lists them',
    answers: { 200: { description: 'The adapters', json: adapterScaleListSchema } },
    errors: accessErrors
  },
  {
    id: 'setAdapterScales',
    method: 'post',
    paths: ['/lora-adapters'],
    tag,
    summary: 'Sets the scales of requests that name none, as with llama-server',
    description: forAdmins,
    body: { schemas: [adapterScalesSchema.shape.scales], example: [{ id: 0, scale: 0.5 }] },
    answers: { 200: { description: 'They are set', json: successSchema } },
    errors: adapterErrors
  }
]
