/** /api/v1: its document, who may use it, its limits, and hostile requests. */
import { readFileSync } from 'node:fs'
import { sql } from 'kysely'
import t from 'tap'
import { z } from 'zod'
import { config } from '../../../app/config.ts'
import { ROUTES } from '../../../app/web/api/endpoints.ts'
import { answerTo, problem, PROBLEMS } from '../../../app/web/api/problem.ts'
import { apiReference } from '../../../scripts/api_reference.ts'
import { push } from '../../../scripts/demo/cdr.ts'
import { contacted, writes } from '../../outreach/support.ts'
import { business, contents, db, post, url } from '../../support/ringback.ts'
import { endpointOf } from '../../events/support.ts'
import { leadOf } from '../ops/support.ts'
import { type Answer, API, client, clientOf, type Sent } from './support.ts'

/** Nothing listens there. */
const UNUSED_URL = 'http://127.0.0.1:1/hook'

/** A business with a person who wrote. */
const scene = async () => {
  const { shop, who, id: missedCallId } = await contacted()
  await writes(who.e164, 'אפשר תור למחר?')
  const { id: leadId } = await leadOf(shop.tenantId, who.e164)
  const { id: recordId } = await db
    .selectFrom('raw_cdrs')
    .select('id')
    .where('tenant_id', '=', shop.tenantId)
    .executeTakeFirstOrThrow()
  const { endpointId } = await endpointOf(shop, UNUSED_URL)
  return { shop, who, api: await clientOf(shop), leadId, missedCallId, recordId, endpointId }
}

t.test('docs/api-reference.md is as `npm run api-reference` writes it', async t => {
  const page = readFileSync(new URL('../../../docs/api-reference.md', import.meta.url), 'utf8')
  t.equal(page, await apiReference())
})

/** The part of OpenAPI 3.1 that the document uses. */
const schema = z.record(z.string(), z.unknown())
const content = (type: 'application/json' | 'application/problem+json') =>
  z.strictObject({ [type]: z.strictObject({ schema }) })
const operation = z.strictObject({
  operationId: z.string().regex(/^[a-z]\w+$/i),
  tags: z.array(z.string()).length(1),
  summary: z.string().min(5),
  description: z.string().min(5).optional(),
  parameters: z.array(
    z.strictObject({
      in: z.enum(['path', 'query', 'header']),
      name: z.string(),
      required: z.boolean(),
      description: z.string().optional(),
      schema,
    }),
  ),
  requestBody: z
    .strictObject({ required: z.boolean(), content: content('application/json') })
    .optional(),
  responses: z.record(
    z.string().regex(/^\d{3}$/),
    z.strictObject({
      description: z.string().min(1),
      headers: z.record(z.string(), z.strictObject({ description: z.string(), schema })).optional(),
      content: z.union([content('application/json'), content('application/problem+json')]),
    }),
  ),
})
const METHODS = ['get', 'put', 'post', 'delete'] as const
const openApi = z.strictObject({
  openapi: z.literal('3.1.1'),
  info: z.strictObject({
    title: z.string(),
    version: z.string(),
    description: z.string(),
    license: z.strictObject({ name: z.string(), identifier: z.string() }),
  }),
  servers: z.tuple([z.strictObject({ url: z.literal(`${config().PUBLIC_URL}/api/v1`) })]),
  security: z.tuple([z.strictObject({ token: z.tuple([]) })]),
  tags: z.array(z.strictObject({ name: z.string() })),
  paths: z.record(z.string().startsWith('/'), z.partialRecord(z.enum(METHODS), operation)),
  components: z.strictObject({
    securitySchemes: z.strictObject({
      token: z.strictObject({
        type: z.literal('http'),
        scheme: z.literal('bearer'),
        description: z.string(),
      }),
    }),
    schemas: z.record(z.string().regex(/^[\w.-]+$/), schema),
  }),
})

const { json: found, status: documentStatus } = await client(null).get('/openapi.json')
const document = openApi.parse(found)
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  METHODS.flatMap(method => {
    const one = methods[method]
    return one ? [{ ...one, path, method }] : []
  }),
)
type Operation = (typeof operations)[number]

/** Checks a value by a schema of the document. */
const validator = (of: unknown) => {
  const text = JSON.stringify({ ...Object(of), $defs: document.components.schemas })
  return z.fromJSONSchema(JSON.parse(text.replaceAll('#/components/schemas/', '#/$defs/')))
}
const answerSchema = ({ responses }: Operation, { status }: Answer) => {
  const { content: types } = responses[String(status)] ?? { content: {} }
  const [found] = Object.values<{ schema: unknown } | undefined>(types)
  return found ? validator(found.schema) : z.never()
}

/** A request to each operation: what the id names, and the rest. */
const SAMPLES: Record<
  string,
  { id?: 'lead' | 'call' | 'missed' | 'webhook'; query?: string; sent?: Sent; adds?: true }
> = {
  listCalls: { query: '?limit=2&since=2020-01-01&verdict=missed&outreach_state=sent&caller=0521' },
  getCall: { id: 'call' },
  listLeads: { query: '?limit=2&state=replied&waiting=true&outcome=none&q=05' },
  getLead: { id: 'lead' },
  sendMessage: {
    id: 'lead',
    sent: { body: { text: 'שלום' }, headers: { 'idempotency-key': 'sample' } },
  },
  setOutcome: { id: 'lead', sent: { body: { outcome: 'won', value: 19.99 } } },
  markCalledBack: { id: 'lead' },
  undoCalledBack: { id: 'lead' },
  addOptOut: { id: 'lead' },
  removeOptOut: { id: 'lead' },
  addExclusion: { id: 'lead', sent: { body: { note: 'the baker' } } },
  removeExclusion: { id: 'lead' },
  setNote: { id: 'lead', sent: { body: { note: 'asks for Dana' } } },
  cancelOutreach: { id: 'missed' },
  sendNow: { id: 'missed' },
  listWebhooks: {},
  addWebhook: {
    sent: { body: { url: UNUSED_URL, events: ['lead.replied'] } },
    adds: true,
  },
  testWebhook: { id: 'webhook' },
  removeWebhook: { id: 'webhook' },
  getReport: { query: '?since=2020-01-01T00:00:00Z&until=2030-01-01' },
}
const sampleOf = ({ operationId }: Operation) => SAMPLES[operationId] ?? {}

const requestOf = (
  one: Operation,
  ids: { leadId: string; missedCallId: string; recordId: string; endpointId: string },
): [method: string, path: string, sent: Sent] => {
  const { id, query = '', sent = {} } = sampleOf(one)
  const value = {
    lead: ids.leadId,
    missed: ids.missedCallId,
    call: ids.recordId,
    webhook: ids.endpointId,
  }[id ?? 'lead']
  return [one.method.toUpperCase(), one.path.replace('{id}', value) + query, sent]
}

t.test('the document is OpenAPI 3.1 and describes every route', t => {
  t.equal(documentStatus, 200, 'without a token')
  t.strictSame(
    operations.map(({ method, path }) => `${method} ${path}`).toSorted(),
    ROUTES.map(({ method, path }) => `${method} ${path}`).toSorted(),
  )
  t.strictSame(operations.map(one => one.operationId).toSorted(), Object.keys(SAMPLES).toSorted())
  const refs = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)]
  t.ok(refs.length > 50)
  for (const [, name = ''] of refs) t.ok(name in document.components.schemas, name)
  t.notMatch(JSON.stringify(document), /\$defs|"\$schema"|"id":"/)
  for (const one of operations) {
    const inPath = [...one.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
    const declared = one.parameters.filter(({ in: where }) => where === 'path')
    t.strictSame(
      declared.map(({ name, required }) => [name, required]),
      inPath.map(name => [name, true]),
      one.operationId,
    )
    for (const { schema: of } of one.parameters) t.ok(validator(of))
  }
  t.end()
})

t.test('every endpoint answers as the document says, and only its own business', async t => {
  const own = await scene()
  const other = await scene()
  const before = await contents()
  for (const one of operations) {
    // It names nothing of another business.
    if (sampleOf(one).adds) continue
    const [method, path, sent] = requestOf(one, own)
    const answer = await other.api.call(method, path, sent)
    t.ok(answerSchema(one, answer).safeParse(answer.json).success, `${one.operationId}: foreign`)
    if (sampleOf(one).id) t.match(answer, { status: 404, json: { code: 'not_found' } })
    else t.notMatch(JSON.stringify(answer.json), `"${own.leadId}"`)
    const absent = path.replace(/\/\d+/, '/999999999999999999')
    if (sampleOf(one).id)
      t.strictSame((await other.api.call(method, absent, sent)).json, answer.json, 'no difference')
  }
  t.strictSame(await contents(), before, 'nothing is changed')

  for (const one of operations) {
    const [method, path, sent] = requestOf(one, own)
    const answer = await own.api.call(method, path, sent)
    const isDone = ['200', '202', '409'].includes(String(answer.status))
    t.ok(isDone, `${one.operationId}: ${answer.status} ${JSON.stringify(answer.json)}`)
    const checkedAnswer = answerSchema(one, answer).safeParse(answer.json)
    t.ok(checkedAnswer.success, `${one.operationId}: ${checkedAnswer.error?.message}`)
    const type = answer.status < 400 ? 'application/json' : 'application/problem+json'
    t.equal(answer.headers.get('content-type'), `${type}; charset=utf-8`)
    t.equal(answer.headers.get('cache-control'), 'no-store')
  }
})

t.test('the document and the program refuse the same requests', async t => {
  const { api, ...ids } = await scene()
  /** The body, and a value of another type for each of its fields. */
  const variants = (body: Record<string, unknown>): unknown[] => [
    body,
    ...Object.keys(body).flatMap(name => [
      { ...body, [name]: { x: 1 } },
      { ...body, [name]: [] },
      { ...body, [name]: true },
      Object.fromEntries(Object.entries(body).filter(([other]) => other !== name)),
    ]),
    { ...body, more: 1 },
    { ...body, ['__proto__x']: 1 },
    [],
    'text',
    7,
    null,
  ]
  for (const one of operations) {
    const [method, path, sent] = requestOf(one, ids)
    if (one.requestBody && sent.body) {
      const { content: types } = one.requestBody
      const schemaOf = validator(types['application/json']?.schema)
      for (const [n, body] of variants(Object(sent.body)).entries()) {
        const headers = { ...sent.headers, 'idempotency-key': `variant ${one.operationId} ${n}` }
        const { status, json } = await api.call(method, path, {
          body: JSON.stringify(body),
          headers,
        })
        const isValid = schemaOf.safeParse(body).success
        t.equal(status !== 422, isValid, `${one.operationId} ${JSON.stringify(body)}: ${status}`)
        if (status === 422) t.match(Object(json).errors, [{ pointer: /^#/ }])
      }
    }
    for (const { in: where, name, schema: of } of one.parameters)
      if (where === 'query')
        for (const value of ['', 'x', '-1', '0', '201', '2026-13-01', 'true', '\0']) {
          const asSent = name === 'limit' ? Number(value || NaN) : value
          const query = new URLSearchParams({ [name]: value }).toString()
          const { status, json } = await api.get(`${one.path}?${query}`)
          // What the program checks beyond the schema, it names in the description.
          if (!validator(of).safeParse(asSent).success)
            t.equal(status, 422, `${name}=${JSON.stringify(value)}`)
          if (status === 422) t.match(Object(json).errors, [{ parameter: name }])
          else t.equal(status, 200)
        }
  }
  for (const path of ['/leads', '/calls', '/report']) {
    t.match(await api.get(`${path}?x=1`), { status: 422, json: { errors: [{ parameter: 'x' }] } })
    t.match(await api.get(`${path}?__proto__=1`), { status: 422 })
  }
})

t.test('wrong paths, methods and bodies', async t => {
  const { api, leadId } = await scene()
  const problemOf = ({ status, json, headers }: Answer) => {
    t.match(headers.get('content-type'), 'application/problem+json')
    const { code, type, title } = Object(json)
    t.match({ type, title, status: Object(json).status }, { type: `urn:ringback:${code}`, status })
    t.ok(Object.hasOwn(PROBLEMS, code) && typeof title === 'string', code)
    return `${status} ${code}`
  }
  const note = `/leads/${leadId}/note`
  const NOT_FOUND = ['/leads/0', '/leads/01', '/leads/1e3', '/leads/-1', '/leads/x']
  const HOSTILE = [
    '/leads/%',
    '/leads/%00',
    '/leads/1%20or%201=1',
    '/leads/９',
    `/leads/${'9'.repeat(40)}`,
  ]
  for (const path of ['/', '/nothing', '/lead/1'])
    t.equal(problemOf(await api.get(path)), '404 no_such_endpoint', path)
  for (const path of [...NOT_FOUND, ...HOSTILE, '/calls/600000000000000000', '/leads/__proto__'])
    t.equal(problemOf(await api.get(path)), '404 not_found', path)
  t.equal(problemOf(await api.put('/leads/9223372036854775808/called-back')), '404 not_found')
  t.equal(problemOf(await api.post('/missed-calls/999999999999999999/cancel')), '404 not_found')

  const wrong = await api.post(note)
  t.equal(problemOf(wrong), '405 method_not_allowed')
  t.equal(wrong.headers.get('allow'), 'PUT')
  t.equal((await api.del('/openapi.json')).headers.get('allow'), 'GET, HEAD')
  t.equal((await api.call('PATCH', '/leads')).headers.get('allow'), 'GET, HEAD')
  t.equal((await api.call('HEAD', '/leads')).status, 200)

  const body = JSON.stringify({ note: 'x' })
  const put = (sent: Sent) => api.call('PUT', note, sent)
  for (const type of [null, 'text/plain', 'application/x-www-form-urlencoded', 'application/jsonx'])
    t.equal(problemOf(await put({ body, type })), '415 unsupported_media_type', String(type))
  t.equal((await put({ body, type: 'application/json; charset=UTF-8' })).status, 200)
  t.equal(
    problemOf(await put({ body, headers: { 'content-encoding': 'gzip' } })),
    '415 unsupported_media_type',
  )
  t.equal(problemOf(await put({ body: 'x'.repeat(200_000) })), '413 body_too_large')
  const BROKEN = ['{', '{"note":"x"', 'undefined', '\u0000', '{"note":"x"}}']
  for (const text of [...BROKEN, Buffer.from('{"note":"\xff"}', 'latin1')])
    t.equal(problemOf(await put({ body: text })), '400 invalid_json', String(text))
  const INVALID = [
    '{"note":"\\u0000"}',
    '{"note":"x","__proto__":{"a":1}}',
    '['.repeat(20_000) + ']'.repeat(20_000),
  ]
  for (const text of [...INVALID, '""', '{}', JSON.stringify({ note: 'x'.repeat(2001) })])
    t.equal(problemOf(await put({ body: text })), '422 invalid_request', text.slice(0, 40))
  t.match((await put({ body: '{"note":"a \\ud800 b"}' })).json, { note: 'a \ufffd b' })
  t.equal(problemOf(await api.call('PUT', note)), '422 invalid_request', 'no body')
})

t.test('an invalid request says what is expected, in words of our own', async t => {
  const { api, leadId } = await scene()
  const details = ({ json }: Answer): string[] =>
    z
      .object({ errors: z.array(z.object({ detail: z.string() })) })
      .parse(json)
      .errors.map(({ detail }) => detail)
  const isOwn = (answer: Answer, what: string) => {
    t.match(answer.json, { code: 'invalid_request', status: 422 }, what)
    for (const detail of details(answer))
      t.notMatch(detail, /^(Invalid|Too (big|small)|Unrecognized)|\^/, `${what}: ${detail}`)
  }
  for (const path of ['note', 'outcome', 'exclusion'])
    for (const body of ['[]', 'null', '1', '{"note":1,"outcome":1,"value":[]}']) {
      const answer = await api.call('PUT', `/leads/${leadId}/${path}`, { body })
      isOwn(answer, `${path} ${body}`)
      if (!body.startsWith('{')) t.strictSame(details(answer), ['a JSON object'])
    }
  for (const body of ['[]', 'null', '{}', '{"url":1,"events":1}', '{"url":"x","events":[1]}'])
    isOwn(await api.call('POST', '/webhooks', { body }), `webhooks ${body}`)
  for (const path of [
    'leads?q=',
    'leads?q=1&q=2',
    `leads?q=${'x'.repeat(101)}`,
    'leads?state=x',
    'leads?outcome=x',
    'leads?waiting=x',
    'leads?limit=x',
    `leads?cursor=${'1'.repeat(101)}`,
    'leads?nothing=1',
    'calls?since=x',
    'calls?caller=x',
    'calls?verdict=x',
    'calls?outreach_state=x',
    'calls?cursor=x',
    'report?until=x',
    'webhooks?cursor=x',
  ])
    isOwn(await api.get(`/${path}`), path)
  t.strictSame(details(await api.get('/leads?q=')), ['a text that is not empty'])
})

t.test('the note of a lead is taken as it is given: null is none', async t => {
  const { api, leadId } = await scene()
  const path = `/leads/${leadId}/note`
  for (const note of ['asks for Dana', null])
    t.match(await api.put(path, { note }), { status: 200, json: { note } })
})

t.test('a fault of the program tells nothing', async t => {
  const { api } = await scene()
  await sql`alter table webhook_tokens rename to hidden`.execute(db)
  const answer = await api.get('/leads')
  await sql`alter table hidden rename to webhook_tokens`.execute(db)
  t.match(answer, {
    status: 500,
    json: { code: 'internal_error', title: PROBLEMS.internal_error[1] },
  })
  t.notMatch(JSON.stringify(answer.json), /hidden|webhook_tokens|select/)
  t.equal((await api.get('/leads')).status, 200)
})

t.test('what a client alone can cause does not fill the log with errors', t => {
  const rejection = Object.assign(new Error('evicted'), { status: 503, isRejection: true })
  for (const error of [problem('unavailable'), rejection])
    t.match(answerTo(error), { status: 503, isFault: false })
  t.match(answerTo(Object.assign(new Error('x'), { code: '57P01' })), {
    status: 503,
    isFault: true,
  })
  t.match(answerTo(new Error('x')), { status: 500, isFault: true })
  t.end()
})

t.test('a lock that is held for long: 503, and the next request is answered', async t => {
  const { api, leadId } = await scene()
  const locked = Promise.withResolvers<void>()
  const release = Promise.withResolvers<void>()
  const holder = db.transaction().execute(async trx => {
    await sql`select from leads where id = ${leadId} for update`.execute(trx)
    locked.resolve()
    await release.promise
  })
  await locked.promise
  const [busy, read] = await Promise.all([
    api.put(`/leads/${leadId}/called-back`),
    api.get(`/leads/${leadId}`),
  ])
  release.resolve()
  await holder
  t.match(busy, { status: 503, json: { code: 'unavailable' } })
  t.equal(busy.headers.get('retry-after'), '5')
  t.equal(read.status, 200)
  t.equal((await api.put(`/leads/${leadId}/called-back`)).status, 200)
})

t.test('only an API token opens the API, and it opens nothing else', async t => {
  const { api, shop } = await scene()
  const { apiToken, tokenId } = api
  const UNAUTHORIZED = { status: 401, json: { code: 'unauthorized' } }
  t.match(await client(null).get('/leads'), UNAUTHORIZED)
  t.match(await client(shop.token).get('/leads'), UNAUTHORIZED, 'a webhook token')
  t.match(await client(`${apiToken}x`).get('/nothing'), UNAUTHORIZED)
  const withHeader = (authorization: string) =>
    client(null).call('GET', '/leads', { headers: { authorization } })
  t.match(await withHeader(`Basic ${btoa(`api:${apiToken}`)}`), UNAUTHORIZED)
  t.match(await withHeader('Bearer'), UNAUTHORIZED)
  t.match(await withHeader(`bearer ${apiToken}`), { status: 200 })
  t.match(await client(null).get(`/leads?token=${apiToken}`), UNAUTHORIZED, 'not in a URL')
  const { headers } = await client(null).get('/leads')
  t.match(headers.get('www-authenticate'), 'Bearer')

  const before = await contents()
  t.equal((await post(push(), { token: apiToken })).status, 401)
  for (const path of ['popup', 'cdr']) {
    const open = await fetch(`${url}/webhooks/voicenter/${path}?token=${apiToken}`, {
      method: 'POST',
      body: '{}',
    })
    t.equal(open.status, 401, path)
  }
  t.strictSame(await contents(), before)

  t.equal((await api.get('/leads')).status, 200)
  await sql`update webhook_tokens set revoked_at = now() where id = ${tokenId}`.execute(db)
  t.match(await api.get('/leads'), UNAUTHORIZED, 'revoked a moment ago')
  t.match(await api.get('/leads'), UNAUTHORIZED)
})

t.test('600 requests a minute for each token, and 300 wrong tokens for each address', async t => {
  const shop = await business()
  const [api, second] = [await clientOf(shop), await clientOf(shop)]
  const statuses = async (ask: () => Promise<Answer>, times: number) => {
    const answers = await Promise.all(Array.from({ length: times }, ask))
    return Map.groupBy(answers, ({ status }) => status)
  }
  const answers = await statuses(() => api.get('/nothing'), 610)
  t.equal(answers.get(404)?.length, 600)
  const [limited] = answers.get(429) ?? []
  t.match(limited?.json, { code: 'too_many_requests', status: 429 })
  const wait = Number(limited?.headers.get('retry-after'))
  t.ok(wait > 0 && wait <= 60, String(wait))
  t.equal((await second.get('/leads')).status, 200, 'another token')

  // Those of the tests before count too.
  const wrong = await statuses(() => client('wrong').get('/leads'), 310)
  t.ok((wrong.get(401)?.length ?? 0) <= 300)
  t.equal(wrong.get(429)?.[0]?.headers.get('retry-after'), '60')
  t.equal((await second.get('/leads')).status, 200, 'a valid token from the same address')
  t.equal((await fetch(`${API}/openapi.json`)).status, 200)
})
