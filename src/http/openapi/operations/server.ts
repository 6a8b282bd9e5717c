import { z } from 'zod'
import { errorSchema } from '../../schemas/answers/error.ts'
import { healthSchema, readinessSchema, rootSchema } from '../../schemas/answers/server-state.ts'
import { accessErrors, keyErrors } from '../error-codes.ts'
import type { Operation } from '../operation.ts'

const tag = 'Server'

export const serverOperations: readonly Operation[] = [
  {
    id: 'health',
    method: 'get',
    paths: ['/health'],
    tag,
    summary: 'Whether the process lives',
    answers: { 200: { description: 'It does', json: healthSchema } },
    errors: [],
    isPublic: true
  },
  {
    id: 'ready',
    method: 'get',
    paths: ['/ready'],
    tag,
    summary: 'Whether requests can be answered',
    description: 'Needs no key with `--public-route ready`, and does not tell of the models then.',
    answers: {
      200: { description: 'Every model can decode', json: readinessSchema },
      503: { description: 'Not now, and why', json: z.union([readinessSchema, errorSchema]) }
    },
    errors: keyErrors
  },
  {
    id: 'metrics',
    method: 'get',
    paths: ['/metrics'],
    tag,
    summary: 'Prometheus\' text',
    description: 'Never waits for a decode. Needs no key with `--public-route metrics`.',
    answers: { 200: { description: 'The metrics', text: 'text/plain' } },
    errors: accessErrors
  },
  {
    id: 'about',
    method: 'get',
    paths: ['/', '/v1'],
    tag,
    summary: 'Where the API is',
    answers: { 200: { description: 'Where it is', json: rootSchema } },
    errors: accessErrors
  },
  {
    id: 'openApiDocument',
    method: 'get',
    paths: ['/openapi.json'],
    tag,
    summary: 'This document',
    description: 'For people, `/docs` shows it.',
    answers: { 200: { description: 'This document', json: z.looseObject({}) } },
    errors: [],
    isPublic: true
  }
]
