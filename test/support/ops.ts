import { hashPassword } from '../../app/tenants/credentials.ts'
import { reloadConfig } from '../../app/config.ts'
import { db, url } from './ringback.ts'

/**
 * /ops as a browser without JavaScript sees it: signs in, keeps its cookies, and posts the forms that stand
 * on the pages.
 */
export const OPERATOR_PASSWORD = 'correct horse battery'
process.env['OPS_PASSWORD'] = OPERATOR_PASSWORD
reloadConfig()
export const OPS = `${url}/ops`

type Answer = { status: number; text: string; headers: Headers; location: string | null }

/** One person's browser. */
export const browser = (language: 'en' | 'he' = 'en') => {
  const cookies = new Map<string, string>()
  /** `path` is what stands behind the host: /ops/calls?state=missed */
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
  /** What the forms of this browser's pages carry. */
  const formToken = async (): Promise<string> =>
    /name="form" value="([^"]+)"/.exec((await ask('/ops/log')).text)?.[1] ?? ''
  return {
    cookies,
    get: (path: string) => ask(path),
    ask,
    /** As it is: without what our forms carry. */
    post,
    /** A form of ours, filled in and sent. */
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

/** Gives a business a password, and signs in as it. */
export const asTenant = async (tenantId: string, language: 'en' | 'he' = 'en') => {
  const password = `the password of ${tenantId}`
  await db
    .updateTable('tenants')
    .set({ ops_password: await hashPassword(password) })
    .where('id', '=', tenantId)
    .execute()
  const tenant = browser(language)
  await tenant.signIn(tenantId, password)
  return tenant
}

/** What stands in the log of deeds about a business, oldest first. */
export const deedsOf = (tenantId: string | null) =>
  db
    .selectFrom('audit_log')
    .select(['who', 'action', 'subject', 'before', 'after'])
    .where('tenant_id', 'is not distinct from', tenantId)
    .orderBy('id')
    .execute()
