import type { Request } from 'express'
import { config } from '../../config.ts'
import { type Account, accountOf, accountWith } from './account.ts'
import { isLocal } from './door.ts'
import { cookieOf } from './language.ts'
import { isSession, nameIn } from './session.ts'

/** Who looks at the pages. */
export type Visitor = {
  signIn: { as: 'operator' } | { as: 'tenant'; tenantId: string }
  business: string | null
  /** What the forms are bound to: the session, or without one the name. */
  formsOf: string
}

/** `__Host-`: only we, only over TLS, for the whole site, and no subdomain can set it. */
export const sessionCookie = (req: Request) => ({
  name: req.secure ? '__Host-ringback' : 'ringback',
  options: { httpOnly: true, sameSite: 'lax', secure: req.secure, path: '/' } as const,
})

const visitor = (
  { name, business }: Pick<Account, 'name' | 'business'>,
  formsOf: string,
): Visitor => ({
  signIn: business === null ? { as: 'operator' } : { as: 'tenant', tenantId: name },
  business,
  formsOf,
})

const bySession = async (req: Request): Promise<Visitor | null> => {
  const session = cookieOf(req, sessionCookie(req).name)
  const account = session && (await accountOf(nameIn(session)))
  return account && isSession(session, account.credential, new Date())
    ? visitor(account, session)
    : null
}

/** The operator may also show her password with each request, as Prometheus and curl do. */
const byBasic = async (req: Request): Promise<Visitor | null> => {
  const [, encoded = ''] = /^basic +(.+)$/i.exec(req.get('authorization') ?? '') ?? []
  const [name, password = ''] = Buffer.from(encoded, 'base64').toString('utf8').split(/:(.*)/s)
  if (name !== 'operator' || !config().OPS_PASSWORD) return null
  const account = await accountWith(req.ip ?? '', name, password)
  return account && visitor(account, name)
}

/** Nobody has set a password, and whoever sits at this machine has the database too. */
const byPlace = (req: Request): Visitor | null =>
  !config().OPS_PASSWORD && isLocal(req)
    ? visitor({ name: 'operator', business: null }, 'operator')
    : null

/** Who asks; null = nobody we know. */
export const visitorOf = async (req: Request): Promise<Visitor | null> =>
  (await bySession(req)) ?? (await byBasic(req)) ?? byPlace(req)
