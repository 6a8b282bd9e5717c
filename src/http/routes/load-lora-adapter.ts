import type { FastifyReply, FastifyRequest } from 'fastify'
import { checkAdapterName } from '../../adapters/adapter-name.ts'
import { ServerError } from '../../domain/errors.ts'
import { toErrorBody, toErrorHeaders } from '../error-response.ts'
import { noteError } from '../plugins/errors.ts'
import { noteAction, plainSource } from '../note-action.ts'
import { requireAdmin } from '../require-admin.ts'
import { loadLoraAdapterSchema, unloadLoraAdapterSchema } from '../schemas/adapter-requests.ts'
import { parseRequest } from '../schemas/parse-request.ts'
import type { Route } from '../services.ts'

/** How vLLM says it: the words, and the type of the error object. */
interface Wording {
  readonly type: 'InvalidUserInput' | 'NotFoundError'
  readonly status: 400 | 404
  readonly message: string
}

/**
 * An error as vLLM's clients read it: nested as now, and flat as before. Controllers tell by status, type and words what was the matter,
 * so what vLLM has words for is in its words; all else is an error as on every other route, with its message and type on top as well.
 */
function sendVllmError (request: FastifyRequest, reply: FastifyReply, error: ServerError, wording: Wording | null): FastifyReply {
  noteError(request, error)
  const body = wording === null
    ? toErrorBody(error)
    : { error: { message: wording.message, type: wording.type as string, param: null, code: wording.status as number } }
  const { message, type } = body.error
  // vLLM's name for it.
  const param = body.error.param === 'name' ? 'lora_name' : body.error.param
  return reply.code(wording?.status ?? error.status).headers(toErrorHeaders(error)).send({ error: { ...body.error, param }, object: 'error', message, type, param, code: body.error.code })
}

const asText = (reply: FastifyReply, text: string): FastifyReply => reply.type('text/plain; charset=utf-8').send(text)

type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>

/** @param wordingOf vLLM's words for an error of the adapter `name`, where it has some */
const inVllmsWords = (handle: Handler, wordingOf: (error: ServerError, name: string) => Wording | null): Handler => async (request, reply) => {
  try {
    return await handle(request, reply)
  } catch (thrown) {
    const error = ServerError.from(thrown)
    const { lora_name: name } = Object(request.body) as { lora_name?: unknown }
    return sendVllmError(request, reply, error, wordingOf(error, String(name)))
  }
}

const missing = (message: string): ServerError => new ServerError('missing_required_parameter', message)

function loadWording (error: ServerError, name: string): Wording | null {
  if (error.code === 'missing_required_parameter' && error.param === undefined) return { type: 'InvalidUserInput', status: 400, message: error.message }
  if (error.code === 'adapter_not_found') return { type: 'NotFoundError', status: 404, message: `Loading lora ${name} failed: ${error.message}` }
  // Conflicts of another kind name what is in conflict.
  if (error.code !== 'adapter_conflict' || error.param !== undefined) return null
  return {
    type: 'InvalidUserInput',
    status: 400,
    message: `The lora adapter '${name}' has already been loaded. If you want to load the adapter in place, set 'load_inplace' to True.`
  }
}

function unloadWording (error: ServerError, name: string): Wording | null {
  if (error.code === 'missing_required_parameter' && error.param === undefined) return { type: 'InvalidUserInput', status: 400, message: error.message }
  return error.code === 'adapter_not_found' ? { type: 'NotFoundError', status: 404, message: `The lora adapter '${name}' cannot be found.` } : null
}

/** `POST /v1/load_lora_adapter` and `/v1/unload_lora_adapter`, with vLLM's bodies, texts and codes. */
export const loadLoraAdapterRoute: Route = (app, services) => {
  const { adapters } = services

  app.post('/v1/load_lora_adapter', inVllmsWords(async (request, reply) => {
    noteAction(request, 'adapter.load')
    requireAdmin(request, services)
    const body = parseRequest(loadLoraAdapterSchema, request.body)
    const { lora_name: name, lora_path: reference } = body
    noteAction(request, 'adapter.load', { adapter: name, model: body.model ?? null, source: plainSource(reference) })
    if (name === '' || reference === '') throw missing("Both 'lora_name' and 'lora_path' must be provided.")
    checkAdapterName(name, 'lora_name')
    await adapters.load({
      name,
      reference,
      model: body.model,
      scale: body.scale,
      isPinned: body.pinned,
      ifExists: body.load_inplace ? 'replace' : 'refuse',
      expectedGeneration: body.expected_generation
    }, request.requestContext.cancellation.signal)
    return asText(reply, `Success: LoRA adapter '${name}' added successfully.`)
  }, loadWording))

  app.post('/v1/unload_lora_adapter', inVllmsWords(async (request, reply) => {
    noteAction(request, 'adapter.unload')
    requireAdmin(request, services)
    const { lora_name: name, model, expected_generation: expectedGeneration } = parseRequest(unloadLoraAdapterSchema, request.body)
    noteAction(request, 'adapter.unload', { adapter: name, model: model ?? null })
    if (name === '') throw missing("'lora_name' needs to be provided to unload a LoRA adapter.")
    await adapters.unload(name, { model, expectedGeneration })
    return asText(reply, `Success: LoRA adapter '${name}' removed successfully.`)
  }, unloadWording))
}
