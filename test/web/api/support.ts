/** A client of the API. */
import { z } from 'zod'
import { addApiToken } from '../../../app/tenants/credentials.ts'
import { db, url } from '../../support/ringback.ts'

export const API = `${url}/api/v1`

export type Sent = {
  body?: unknown
  headers?: Record<string, string>
  /** By default the body is JSON. */
  type?: string | null
}

export type Answer = { status: number; json: unknown; headers: Headers }

/** @param token null = none */
export const client = (token: string | null) => {
  const call = async (method: string, path: string, sent: Sent = {}): Promise<Answer> => {
    const { body, headers = {}, type = body === undefined ? null : 'application/json' } = sent
    const response = await fetch(`${API}${path}`, {
      method,
      headers: {
        ...(token !== null && { authorization: `Bearer ${token}` }),
        ...(type !== null && { 'content-type': type }),
        ...headers,
      },
      ...(body !== undefined && {
        body:
          typeof body === 'string' || body instanceof Uint8Array
            ? Buffer.from(body)
            : JSON.stringify(body),
      }),
    })
    const text = await response.text()
    const json: unknown = text === '' ? null : JSON.parse(text)
    return { status: response.status, json, headers: response.headers }
  }
  return {
    call,
    get: (path: string) => call('GET', path),
    put: (path: string, body?: unknown) => call('PUT', path, { body }),
    del: (path: string) => call('DELETE', path),
    post: (path: string, body?: unknown) => call('POST', path, { body }),
    write: (leadId: string, text: unknown, key: string) =>
      call('POST', `/leads/${leadId}/messages`, {
        body: { text },
        headers: { 'idempotency-key': key },
      }),
  }
}
export type Client = ReturnType<typeof client>

/** The client of a business, with a new token. */
export const clientOf = async ({ tenantId }: { tenantId: string }) => {
  const { apiToken, tokenId } = await db
    .transaction()
    .execute(trx => addApiToken(trx, { as: 'command line' }, tenantId))
  return { ...client(apiToken), apiToken, tokenId }
}

const row = z.looseObject({ id: z.string() })
const page = z.strictObject({ data: z.array(row), next_cursor: z.string().nullable() })

/** One page of a list. @throws if the answer is none */
export const pageAt = async ({ get }: Pick<Client, 'get'>, path: string) => {
  const { status, json } = await get(path)
  if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(json)}`)
  return page.parse(json)
}

/** The rows of all pages, and how many pages. */
export const allPages = async (api: Pick<Client, 'get'>, path: string) => {
  const rows: z.infer<typeof row>[] = []
  let cursor = ''
  for (let pages = 1; pages < 100; pages++) {
    const found = await pageAt(api, `${path}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`)
    rows.push(...found.data)
    if (found.next_cursor === null) return { rows, pages }
    cursor = found.next_cursor
  }
  throw new Error('the list does not end')
}
