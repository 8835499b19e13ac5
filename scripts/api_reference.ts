/** npm run api-reference: writes docs/api-reference.md from the OpenAPI document, as a page for people. */
import { writeFileSync } from 'node:fs'
import { format, resolveConfig } from 'prettier'
import { z } from 'zod'
import { BASE_PATH, openApiText } from '../app/web/api/openapi.ts'

const PAGE = new URL('../docs/api-reference.md', import.meta.url)

const schema = z.looseObject({
  $ref: z.string().optional(),
  type: z.union([z.string(), z.array(z.string())]).optional(),
  format: z.string().optional(),
  description: z.string().optional(),
  enum: z.array(z.string()).optional(),
  required: z.array(z.string()).default([]),
  get properties() {
    return z.record(z.string(), schema).optional()
  },
  get items() {
    return schema.optional()
  },
  get anyOf() {
    return z.array(schema).optional()
  },
})
type Schema = z.infer<typeof schema>

const content = z.record(z.string(), z.object({ schema }))
const operation = z.object({
  summary: z.string(),
  description: z.string().optional(),
  parameters: z.array(
    z.object({
      in: z.string(),
      name: z.string(),
      required: z.boolean(),
      description: z.string().optional(),
      schema,
    }),
  ),
  requestBody: z.object({ required: z.boolean(), content }).optional(),
  responses: z.record(z.string(), z.object({ description: z.string(), content })),
})
const document = z.object({
  info: z.object({ description: z.string() }),
  paths: z.record(z.string(), z.record(z.string(), operation)),
  components: z.object({ schemas: z.record(z.string(), schema) }),
})

const typeOf = ({ $ref, type, format: form, enum: values, items, anyOf }: Schema): string => {
  if ($ref !== undefined) {
    const name = $ref.split('/').at(-1) ?? ''
    return `[${name}](#${name.toLowerCase()})`
  }
  if (values) return values.map(value => `\`${value}\``).join(', ')
  if (items) return `list of ${typeOf(items)}`
  const all = anyOf?.map(typeOf) ?? [type ?? 'any'].flat().map(one => form ?? one)
  return [...new Set(all)].join(' or ')
}

const cell = (text = ''): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ')
const table = (head: string[], rows: string[][]): string =>
  rows.length === 0
    ? ''
    : [head, head.map(() => '---'), ...rows]
        .map(row => `| ${row.map(cell).join(' | ')} |`)
        .join('\n')

const fieldsOf = ({ properties = {}, required }: Schema): string =>
  table(
    ['field', 'type', 'meaning'],
    Object.entries(properties).map(([name, field]) => [
      `\`${name}\`${required.includes(name) ? '' : ' (optional)'}`,
      typeOf(field),
      field.description ?? '',
    ]),
  )

/** A field of an answer that has no name of its own. */
const fieldLine = ([name, field]: [string, Schema]): string =>
  `  - \`${name}\`: ${[typeOf(field), field.description ?? []].flat().join('. ')}`

const answerOf = ({ responses }: z.infer<typeof operation>): string =>
  Object.entries(responses)
    .map(([status, { description, content: types }]) => {
      const [found] = Object.values(types)
      if (Number(status) >= 400) return `- **${status}** ${description.replaceAll('\n\n', ' ')}`
      const fields = found?.schema.properties
      if (!fields) return `- **${status}** ${found ? typeOf(found.schema) : ''}`
      return [`- **${status}**`, ...Object.entries(fields).map(fieldLine)].join('\n')
    })
    .join('\n')

const section = (path: string, method: string, one: z.infer<typeof operation>): string => {
  const { parameters, requestBody } = one
  const body = requestBody?.content['application/json']?.schema
  const bodySchema = body?.anyOf?.[0] ?? body
  return [
    `### ${one.summary}`,
    `\`${method.toUpperCase()} ${path}\``,
    one.description ?? '',
    table(
      ['parameter', 'in', 'type', 'meaning'],
      parameters.map(({ name, in: where, required, description, schema: of }) => [
        `\`${name}\`${required ? '' : ' (optional)'}`,
        where,
        typeOf(of),
        description ?? '',
      ]),
    ),
    bodySchema
      ? `Body${requestBody?.required ? '' : ' (optional)'}:\n\n${fieldsOf(bodySchema)}`
      : '',
    answerOf(one),
  ].join('\n\n')
}

/** The page, as it should be in docs/. */
export const apiReference = async (): Promise<string> => {
  const { info, paths, components } = document.parse(JSON.parse(openApiText(BASE_PATH)))
  const text = [
    '# API reference',
    'Made by `npm run api-reference` from the OpenAPI document (`GET /api/v1/openapi.json`). How to begin: [api.md](api.md).',
    info.description,
    '## Endpoints',
    ...Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, one]) => section(path, method, one)),
    ),
    '## Objects',
    ...Object.entries(components.schemas)
      .toSorted(([a], [b]) => a.localeCompare(b))
      .map(([name, one]) => `### ${name}\n\n${one.description ?? ''}\n\n${fieldsOf(one)}`),
  ].join('\n\n')
  return format(text, { ...(await resolveConfig(PAGE)), parser: 'markdown' })
}

if (import.meta.main) writeFileSync(PAGE, await apiReference())
