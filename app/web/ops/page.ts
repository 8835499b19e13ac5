/** How a page is shown and how something is done by one: what every page has in common. */
import { type Request, type RequestHandler, urlencoded } from 'express'
import { sql } from 'kysely'
import { z } from 'zod'
import type { Actor } from '../../audit.ts'
import { retryOnConflict } from '../../db/retry.ts'
import { opsDb, type Trx } from '../../db/kysely.ts'
import { takeTurn } from './fair.ts'
import { cookieOf, type Language, languageOf } from './language.ts'
import { layout, type Page } from './layout.ts'
import { refuse } from './refuse.ts'
import { formToken, isFormToken } from './session.ts'
import { askToSignIn } from './sign_in.ts'
import { type Visitor, visitorOf } from './visitor.ts'
import { layoutWords } from './words/layout.ts'

/** One request of somebody who is signed in. */
export type Visit = {
  signIn: Actor
  language: Language
  /** The business that is signed in, which sees nothing else; null = the operator, who sees all. */
  own: string | null
  formToken: string
  /** The path and query of this very page. */
  here: string
  /** Parts of the path and of the query, each once; of a repeated one the last. */
  given: Record<string, string>
}

/** Fields of a form; a name that comes several times, as of ticked boxes, has all of them. */
export type Form = Record<string, string | string[]>

const visits = new WeakMap<Request, { visit: Visit; visitor: Visitor }>()

const stringsIn = (values: object): Record<string, string> =>
  Object.fromEntries(
    Object.entries(values).flatMap(([name, value]: [string, unknown]) => {
      const last: unknown = Array.isArray(value) ? value.at(-1) : value
      return typeof last === 'string' ? [[name, last]] : []
    }),
  )

/** Lets in who is signed in; everybody else sees the form. */
export const signedIn: RequestHandler = async (req, res, next) => {
  const visitor = await visitorOf(req)
  if (!visitor) {
    res.status(401)
    // A program is asked for a password in its own way; a person gets a form, which a browser's box would hide.
    if (!req.get('accept')?.includes('text/html'))
      res.set('WWW-Authenticate', 'Basic realm="ringback"')
    res.send(askToSignIn(req, req.method === 'GET' ? req.originalUrl : '/ops'))
    return
  }
  if (visitor.signIn.as === 'tenant') takeTurn(visitor.signIn.tenantId, res)
  const visit = {
    signIn: visitor.signIn,
    language: languageOf(req),
    own: visitor.signIn.as === 'tenant' ? visitor.signIn.tenantId : null,
    formToken: formToken(visitor.formsOf, new Date()),
    here: req.originalUrl,
    given: stringsIn(req.query),
  }
  visits.set(req, { visit, visitor })
  next()
}

const inside = (req: Request) => visits.get(req) ?? refuse(401)

/** For the one thing that is neither a page nor a deed: a file. */
export const visitOf = (req: Request): Visit => inside(req).visit

/** Actions come from our own forms only: another site can make a browser post here, but not know what ours carry. */
export const fromOurForm: RequestHandler[] = [
  urlencoded({ extended: false, limit: '100kb' }),
  (req, _res, next) => {
    if (req.method === 'GET' || req.method === 'HEAD') return next()
    const { visit, visitor } = inside(req)
    const site = req.get('sec-fetch-site') ?? 'same-origin'
    const { form = '' } = stringsIn(Object(req.body))
    if (site !== 'same-origin' || !isFormToken(form, visitor.formsOf, new Date()))
      refuse(403, layoutWords[visit.language].formExpired)
    next()
  },
]

const SAID = 'ringback_said'

/** As we wrote it; one that somebody else wrote says nothing. */
const unescape = (said: string): string | null => {
  try {
    return decodeURIComponent(said)
  } catch {
    return null
  }
}

const dressed = (req: Request, page: Page, again: boolean): string => {
  const { visit, visitor } = inside(req)
  return layout(page, {
    again,
    language: visit.language,
    signedInAs: visitor.business ?? layoutWords[visit.language].operator,
    isTenant: visit.own !== null,
    formToken: visit.formToken,
    here: visit.here,
  })
}

/** A page: read in one transaction that cannot write. */
export const page =
  (show: (trx: Trx, visit: Visit) => Promise<Page>): RequestHandler =>
  async (req, res) => {
    const { visit } = inside(req)
    const seen = { ...visit, given: { ...visit.given, ...stringsIn(req.params) } }
    const shown = await opsDb
      .transaction()
      .setAccessMode('read only')
      .execute(trx => show(trx, seen))
    const said = cookieOf(req, SAID)
    if (said) res.clearCookie(SAID, { path: '/ops' })
    res.send(dressed(req, { ...shown, said: said === null ? null : unescape(said) }, true))
  }

/** What an action says and where it leads; or a page, for what is shown this once and never again. */
export type Outcome = { said: string; to: string } | Page

/** An action: in one transaction, together with its line in the log. Tried again where it only met another. */
export const deed =
  (act: (trx: Trx, visit: Visit, form: Form) => Promise<Outcome>): RequestHandler =>
  async (req, res) => {
    const { visit } = inside(req)
    const seen = { ...visit, given: { ...visit.given, ...stringsIn(req.params) } }
    const form = z
      .record(z.string(), z.union([z.string(), z.array(z.string())]))
      .parse(req.body ?? {})
    const outcome = await retryOnConflict(() =>
      opsDb.transaction().execute(async trx => {
        // Everybody else's page waits for this one's connection.
        await sql`set local lock_timeout = '1s'`.execute(trx)
        return act(trx, seen, form)
      }),
    )
    if (!('to' in outcome)) {
      res.status(outcome.status ?? 200).send(dressed(req, outcome, false))
      return
    }
    res.cookie(SAID, outcome.said, {
      httpOnly: true,
      sameSite: 'lax',
      path: '/ops',
      maxAge: 30_000,
    })
    res.redirect(303, outcome.to)
  }

/**
 * Whose rows to show: of a business its own, of the operator those of `?tenant=`, or null = everybody's.
 * Another business's id is as if there were none.
 */
export const scopeOf = ({ own, given }: Visit): string | null => {
  const asked = given['tenant'] ?? ''
  if (asked && !/^[1-9]\d{0,17}$/.test(asked)) refuse(404)
  if (own && asked && asked !== own) refuse(404)
  return own ?? (asked || null)
}

/** The one business that a path or form names. */
export const ofTenant = ({ own }: Visit, tenantId: string): string => {
  if (!/^[1-9]\d{0,17}$/.test(tenantId) || (own && own !== tenantId)) refuse(404)
  return tenantId
}
