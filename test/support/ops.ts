import { randomBytes, scryptSync } from 'node:crypto'
import { reloadConfig } from '../../app/config.ts'
import { db, url } from './ringback.ts'

/** A browser without JavaScript for /ops: it signs in, keeps cookies and posts forms. */
export const OPERATOR_PASSWORD = 'correct horse battery'
process.env['OPS_PASSWORD'] = OPERATOR_PASSWORD
reloadConfig()
export const OPS = `${url}/ops`

type Answer = { status: number; text: string; headers: Headers; location: string | null }

export const browser = (language: 'en' | 'he' = 'en') => {
  const cookies = new Map<string, string>()
  /** @param path with the query: /ops/calls?state=missed */
  const ask = async (path: string, init: RequestInit = {}): Promise<Answer> => {
    const answer = await fetch(new URL(path, url), {
      redirect: 'manual',
      ...init,
      headers: {
        accept: 'text/html',
        'accept-language': language,
        cookie: [...cookies].map(pair => pair.join('=')).join('; '),
        ...Object.fromEntries(new Headers(init.headers)),
      },
    })
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (value) cookies.set(name, value)
      else cookies.delete(name)
    }
    return {
      status: answer.status,
      text: await answer.text(),
      headers: answer.headers,
      location: answer.headers.get('location'),
    }
  }
  const post = (path: string, fields: Record<string, string | string[]>): Promise<Answer> => {
    const body = new URLSearchParams()
    for (const [name, value] of Object.entries(fields))
      for (const one of [value].flat()) body.append(name, one)
    return ask(path, { method: 'POST', body })
  }
  /** The CSRF token of this visitor. */
  const formToken = async (): Promise<string> =>
    /name="form" value="([^"]+)"/.exec((await ask('/ops/log')).text)?.[1] ?? ''
  return {
    cookies,
    get: (path: string) => ask(path),
    ask,
    /** Without the CSRF token. */
    post,
    /** With the CSRF token. */
    submit: async (path: string, fields: Record<string, string | string[]> = {}) =>
      post(path, { form: await formToken(), ...fields }),
    signIn: (name: string, password: string) => post('/ops/sign-in', { name, password }),
  }
}

export const asOperator = async (language: 'en' | 'he' = 'en') => {
  const operator = browser(language)
  await operator.signIn('operator', OPERATOR_PASSWORD)
  return operator
}

/** Like `hashPassword`, but cheap: the tests sign in hundreds of times. */
const cheapHash = (password: string): string => {
  const cost = { N: 2, r: 1, p: 1 }
  const salt = randomBytes(16)
  const key = scryptSync(password.normalize('NFKC'), salt, 32, cost).toString('base64')
  return `scrypt:${cost.N}:${cost.r}:${cost.p}:${salt.toString('base64')}:${key}`
}

/** Sets a password for the business and signs in. */
export const asTenant = async (tenantId: string, language: 'en' | 'he' = 'en') => {
  const password = `the password of ${tenantId}`
  await db
    .updateTable('tenants')
    .set({ ops_password: cheapHash(password) })
    .where('id', '=', tenantId)
    .execute()
  const tenant = browser(language)
  await tenant.signIn(tenantId, password)
  return tenant
}

/** The audit log of a business, oldest first. */
export const auditLogOf = (tenantId: string | null) =>
  db
    .selectFrom('audit_log')
    .select(['who', 'action', 'subject', 'before', 'after'])
    .where('tenant_id', 'is not distinct from', tenantId)
    .orderBy('id')
    .execute()
