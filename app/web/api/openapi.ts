/** The OpenAPI document, made from the routes and their zod schemas. */
import { z } from 'zod'
import { ROUTES } from './endpoints.ts'
import { PROBLEMS, type ProblemCode, problemSchema } from './problem.ts'
import type { Route } from './route.ts'

type JsonSchema = Record<string, unknown>

/** Schemas that have a name (`id`) become components. */
const components: Record<string, unknown> = {}

const jsonSchema = (schema: z.ZodType, io: 'input' | 'output'): JsonSchema => {
  const {
    $schema: _,
    $defs = {},
    ...found
  } = z.toJSONSchema(schema, {
    io,
    override: ({ jsonSchema: made }) => {
      // An answer may get more fields in a later version.
      if (io === 'output') delete made.additionalProperties
      // Most programs compute with binary fractions: to them 19.99 is no multiple of 0.01.
      delete made.multipleOf
      delete made['id']
      // The format says the same.
      if (made.format === 'date-time' || made.format === 'date') delete made.pattern
      if (made.minimum === Number.MIN_SAFE_INTEGER) delete made.minimum
      if (made.maximum === Number.MAX_SAFE_INTEGER) delete made.maximum
    },
  })
  Object.assign(components, JSON.parse(refsOf($defs)))
  const result: JsonSchema = JSON.parse(refsOf(found))
  return result
}
const refsOf = (made: unknown): string =>
  JSON.stringify(made).replaceAll('"#/$defs/', '"#/components/schemas/')

const json = (schema: JsonSchema, type = 'application/json') => ({ [type]: { schema } })

const parameter = (where: 'path' | 'query' | 'header', name: string, schema: z.ZodType) => {
  const { description, ...made } = jsonSchema(schema, 'input')
  const isRequired = where === 'path' || !schema.safeParse(undefined).success
  return {
    in: where,
    name,
    required: isRequired,
    ...(description !== undefined && { description }),
    schema: made,
  }
}

const parametersOf = ({ shape }: z.ZodObject) => {
  const { id, query, key } = shape
  return [
    ...(id instanceof z.ZodType ? [parameter('path', 'id', id)] : []),
    ...(query instanceof z.ZodObject
      ? Object.entries(query.shape).map(([name, schema]) => parameter('query', name, schema))
      : []),
    ...(key instanceof z.ZodType ? [parameter('header', 'Idempotency-Key', key)] : []),
  ]
}

const bodyOf = ({ shape: { body } }: z.ZodObject) =>
  body instanceof z.ZodType
    ? {
        requestBody: {
          required: !body.safeParse(undefined).success,
          content: json(jsonSchema(body, 'input')),
        },
      }
    : {}

/** The problems that an endpoint can have. */
export const problemsOf = ({ request: { shape }, problems = [] }: Route): ProblemCode[] => [
  ...('body' in shape ? (['invalid_json'] as const) : []),
  ...('key' in shape ? (['missing_idempotency_key'] as const) : []),
  'unauthorized',
  ...('id' in shape ? (['not_found'] as const) : []),
  ...('body' in shape ? (['body_too_large', 'unsupported_media_type'] as const) : []),
  ...('body' in shape || 'query' in shape ? (['invalid_request'] as const) : []),
  ...problems,
  'too_many_requests',
  'internal_error',
  'unavailable',
]

const RETRY = {
  'Retry-After': {
    description: 'After how many seconds to try again.',
    schema: { type: 'integer' },
  },
}

const problemAnswers = (codes: ProblemCode[]) => {
  const byStatus = Map.groupBy(codes, code => PROBLEMS[code][0])
  return Object.fromEntries(
    [...byStatus].map(([status, all]) => [
      String(status),
      {
        description: all.map(code => `\`${code}\`: ${PROBLEMS[code][1]}`).join('\n\n'),
        ...((status === 429 || status === 503) && { headers: RETRY }),
        content: json(jsonSchema(problemSchema, 'output'), 'application/problem+json'),
      },
    ]),
  )
}

const operation = (route: Route) => ({
  operationId: route.name,
  tags: [route.path.split('/')[1] ?? ''],
  summary: route.summary,
  ...(route.description !== undefined && { description: route.description }),
  parameters: parametersOf(route.request),
  ...bodyOf(route.request),
  responses: {
    [String(route.status)]: {
      description: route.status === 202 ? 'Accepted. It is sent within seconds.' : 'Done.',
      content: json(jsonSchema(route.answer, 'output')),
    },
    ...problemAnswers(problemsOf(route)),
  },
})

const newDocument = (server: string) => {
  const paths = Map.groupBy(ROUTES, ({ path }) => path)
  const described = [...paths].map(([path, routes]) => [
    path,
    Object.fromEntries(routes.map(route => [route.method, operation(route)])),
  ])
  return {
    openapi: '3.1.1',
    info: {
      title: 'Ringback',
      version: '1',
      description:
        'The calls and people of one business. Ids are decimal digits in text. Times are ISO 8601 in UTC. An answer may get more fields; an existing field keeps its meaning.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: server }],
    security: [{ token: [] }],
    tags: [...new Set(ROUTES.map(({ path }) => path.split('/')[1] ?? ''))].map(name => ({ name })),
    paths: Object.fromEntries(described),
    components: {
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description: 'Made with `npm run tenant -- api-token add --tenant 1`.',
        },
      },
      schemas: components,
    },
  }
}

export const BASE_PATH = '/api/v1'

const documents = new Map<string, string>()

/**
 * The document as JSON. It is made at the first request, since it does not change.
 *
 * @param server the address of the API
 */
export const openApiText = (server: string): string => {
  const text = documents.get(server) ?? JSON.stringify(newDocument(server))
  documents.set(server, text)
  return text
}
