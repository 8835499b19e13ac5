/** A page is shown in a read-only transaction; an action runs in a transaction and then shows a page. */
import type { Request, RequestHandler, Response } from 'express'
import { sql } from 'kysely'
import { hash } from 'node:crypto'
import { z } from 'zod'
import { config } from '../../config.ts'
import { decrypt, encrypt } from '../../crypto.ts'
import { opsDb, type Trx } from '../../db/kysely.ts'
import { limits, readPrimary, readReport, type Source } from '../../db/replica.ts'
import { retryOnConflict } from '../../db/retry.ts'
import { type Context, lastValues, mayOpen, resumedVisit, signedIn, type Visit } from './access.ts'
import { abort, wrongParam } from './errors.ts'
import { html, type Html } from './html.ts'
import { readCookie } from './language.ts'
import { layout, layoutTexts, type Page } from './layout.ts'
import { type Form, secretCookie } from './sign_in_form.ts'

/** Holds the text that the next page shows, after an action. */
const FLASH_COOKIE = 'ringback_said'

const decodeFlash = (cookie: string): string | null => {
  try {
    return decodeURIComponent(cookie)
  } catch {
    return null
  }
}

const render = (
  { context, visitor }: Visit,
  page: Page,
  canReload: boolean,
  source: Source = null,
): string =>
  layout(page, {
    canReload,
    source,
    language: context.language,
    signedInAs: visitor.business ?? layoutTexts[context.language].operator,
    isTenant: context.tenantScope !== null,
    mayOpen: path => mayOpen(visitor, path.replace(/^\/ops/, '') || '/'),
    formToken: context.formToken,
    url: context.url,
  })

const contextOf = (req: Request, { context }: Visit): Context => ({
  ...context,
  params: { ...context.params, ...lastValues(req.params) },
})

/** Says to the next pages that this visitor has changed something. */
const ACTED_COOKIE = 'ringback_acted'
/** After this time a replica that is used has the change. */
const actedMs = (): number => 2 * limits.lagSeconds * 1000

/** From now on the visitor's reports come from the primary, until the replica has what the visitor changed. */
export const noteAction = (res: Response): void => {
  if (config().READ_DATABASE_URL)
    res.cookie(ACTED_COOKIE, '1', {
      httpOnly: true,
      sameSite: 'lax',
      path: '/ops',
      maxAge: actedMs(),
    })
}

type Show = (trx: Trx, context: Context) => Promise<Page>

/** A page that may be read from a replica: a list or figures. The buttons on it must check what they are about. */
export const reportPage = (show: Show): RequestHandler => page(show, true)

export const page =
  (show: Show, isReport = false): RequestHandler =>
  async (req, res) => {
    const visit = signedIn(req)
    const context = { ...contextOf(req, visit), secret: secretFor(req, visit) }
    const work = (trx: Trx) => show(trx, context)
    const { result: shown, source } = isReport
      ? await readReport(work, readCookie(req, ACTED_COOKIE) !== null)
      : { result: await readPrimary(work), source: null }
    const flash = readCookie(req, FLASH_COOKIE)
    if (flash) res.clearCookie(FLASH_COOKIE, { path: '/ops' })
    const flashed = { ...shown, flash: flash === null ? null : decodeFlash(flash) }
    sendUnlessKnown(req, res, render(visit, flashed, true, source))
  }

/** An open page asks again and again (static/page.js). If it has this version already, the answer is empty. */
const sendUnlessKnown = (req: Request, res: Response, body: string): void => {
  const etag = `"${hash('sha256', body, 'base64url')}"`
  res.set('ETag', etag)
  if (req.get('if-none-match') === etag) res.status(304).end()
  else res.send(body)
}

/** Shows a text on the next page. */
const goTo = (res: Response, path: string, flash: string): void => {
  res.cookie(FLASH_COOKIE, flash, {
    httpOnly: true,
    sameSite: 'lax',
    path: '/ops',
    maxAge: 30_000,
  })
  res.redirect(303, path)
}

/**
 * A secret is shown on the next page. A reload of that page shows it again for ten minutes and makes no new one. Only the
 * visitor's browser keeps it, encrypted for this session and this page.
 */
const SECRET_MS = 10 * 60 * 1000
const secretOwner = ({ formKey }: Visit['visitor'], path: string): string =>
  `once:${formKey}:${path}`
const keptSecret = z.object({ secret: z.string(), until: z.number() })

const keepSecret = (
  req: Request,
  res: Response,
  visit: Visit,
  secret: string,
  to: string,
): void => {
  const { name, options } = secretCookie(req)
  const kept = JSON.stringify({ secret, until: Date.now() + SECRET_MS })
  const value = encrypt(kept, secretOwner(visit.visitor, to))
  res.cookie(name, value, { ...options, maxAge: SECRET_MS })
}

const secretFor = (req: Request, { visitor }: Visit): string | null => {
  const { value } = secretCookie(req)
  if (value === null) return null
  try {
    const kept = decrypt(decodeURIComponent(value), secretOwner(visitor, req.originalUrl))
    const { secret, until } = keptSecret.parse(JSON.parse(kept))
    return until > Date.now() ? secret : null
  } catch {
    // It is for another page or another session, or the visitor's browser sent something else.
    return null
  }
}

/**
 * A message and the page to go to; or the page that shows a secret; or a page, to show a form again or a secret that the
 * visitor may see only now.
 */
export type ActionResult = { flash: string; to: string } | { secret: string; to: string } | Page

type ActionOptions<Prepared> = {
  /** Gets what the action needs from outside, such as an answer of Meta. It runs once, while no transaction is open. */
  prepare?: (context: Context, form: Form) => Promise<Prepared>
  /** The page with the form as it was filled in, for a visitor who had to sign in after sending it. */
  showAgain?: (trx: Trx, context: Context, form: Form) => Promise<Page>
}

/** The action and its row in the audit log are in one transaction. It is retried after a conflict with another. */
export const action =
  <Prepared>(
    act: (
      trx: Trx,
      context: Context,
      form: Form,
      prepared: Prepared | undefined,
    ) => Promise<ActionResult>,
    { prepare, showAgain }: ActionOptions<Prepared> = {},
  ): RequestHandler =>
  async (req, res) => {
    const form = z
      .record(z.string(), z.union([z.string(), z.array(z.string())]))
      .parse(req.body ?? {})
    const resumed = resumedVisit(req)
    if (resumed) {
      const context = contextOf(req, resumed)
      const { signedInAgain: texts } = layoutTexts[context.language]
      if (!showAgain) return goTo(res, context.url, texts.button)
      const shown = await readPrimary(trx => showAgain(trx, context, form))
      res.send(render(resumed, { ...shown, flash: texts.form }, false))
      return
    }
    const visit = signedIn(req)
    const context = contextOf(req, visit)
    const prepared = await prepare?.(context, form)
    const result = await retryOnConflict(() =>
      opsDb.transaction().execute(async trx => {
        // All pages share one connection, so an action must not wait long for a lock.
        await sql`set local lock_timeout = '1s'`.execute(trx)
        return act(trx, context, form, prepared)
      }),
    )
    noteAction(res)
    if ('secret' in result) {
      keepSecret(req, res, visit, result.secret, result.to)
      res.redirect(303, result.to)
    } else if ('to' in result) goTo(res, result.to, result.flash)
    else
      res.status(result.status ?? 200).send(render(visit, withFocus(result, result.status), false))
  }

/** The mark of a problem: on a field, below several fields, or above the form. */
const FIRST_PROBLEM = /aria-invalid="true"|<small class="problem"[^>]*>(?=⚠)/

/** A form that failed leads to its first problem: the browser scrolls there, and a screen reader reads it. */
const withFocus = (page: Page, status: number | undefined): Page => {
  if (status === undefined || status === 200) return page
  const { html } = page.body
  const [found = 'role="alert"'] = FIRST_PROBLEM.exec(html) ?? []
  const focus = found.startsWith('aria') ? ' autofocus' : ' tabindex="-1" autofocus'
  return {
    ...page,
    body: {
      html: html.replace(
        found,
        found.endsWith('>') ? `${found.slice(0, -1)}${focus}>` : found + focus,
      ),
    },
  }
}

/** The id of a row. */
export const ID = /^[1-9]\d{0,17}$/

export const isId = (written: string): boolean => ID.test(written)

/** The id in the path. */
export const idParam = ({ params: { id = '' } }: Context): string => (isId(id) ? id : abort(404))

/** Where the previous page of a list ended; null = the list begins here. */
export const cursorParam = (
  { params }: Context,
  format: RegExp,
  name = 'before',
): string | null => {
  const cursor = params[name] || null
  return cursor === null || format.test(cursor) ? cursor : wrongParam(name)
}

/** The tenant in a path or form. For a signed-in tenant, any other tenant does not exist. */
export const allowedTenant = ({ tenantScope }: Context, tenantId = ''): string =>
  isId(tenantId) && (tenantScope ?? tenantId) === tenantId ? tenantId : abort(404)

export const operatorOnly = ({ tenantScope }: Context): void => {
  if (tenantScope !== null) abort(404)
}

/** The tenant that a page is limited to: the visitor's own, or the one in `?tenant=`; null = all. */
export const requestedTenant = (context: Context): string | null =>
  context.params['tenant'] ? allowedTenant(context, context.params['tenant']) : context.tenantScope

export type VisibleTenant = { id: string; name: string; timezone: string }

/** A list with more options is not usable, and with ten thousand it is slow. */
const MAX_OPTIONS = 200

/**
 * The tenants that the visitor may see, by name, and the one that the page is limited to.
 *
 * @returns `tenants`: null = there are too many to choose from a list
 */
export const tenantsFor = async (trx: Trx, context: Context) => {
  const { tenantScope } = context
  const query = trx.selectFrom('tenants').select(['id', 'name', 'timezone'])
  const found: VisibleTenant[] = await query
    .$if(tenantScope !== null, tenants => tenants.where('id', '=', tenantScope))
    .orderBy('name')
    .limit(MAX_OPTIONS + 1)
    .execute()
  const tenants = found.length > MAX_OPTIONS ? null : found
  const tenantId = requestedTenant(context)
  const chosen: VisibleTenant | null =
    tenantId === null
      ? null
      : ((tenants ?? (await query.where('id', '=', tenantId).execute())).find(
          ({ id }) => id === tenantId,
        ) ?? null)
  if (tenantId !== null && !chosen) abort(404)
  return { tenants, tenantId, chosen }
}

/** The pages that can be limited to one tenant. */
export const pagesOfOneTenant = [
  '/ops',
  '/ops/leads',
  '/ops/calls',
  '/ops/waiting',
  '/ops/trouble',
] as const
export type TenantPage = (typeof pagesOfOneTenant)[number]

export type Choice = Pick<Awaited<ReturnType<typeof tenantsFor>>, 'tenants' | 'chosen'>

/** The operator's choice of one tenant or all. */
export const tenantFilter = (path: TenantPage, { tenants, chosen }: Choice, context: Context) => {
  const { tenantScope, language } = context
  const texts = layoutTexts[language]
  if (tenantScope !== null) return false
  if (tenants === null) return html`<div class="row">${searchInstead(path, chosen, context)}</div>`
  if (tenants.length < 2) return false
  return html`<form class="row" action="${path}">
    <select name="tenant" aria-label="${texts.business}">
      ${tenantOptions(tenants, chosen, texts.allBusinesses)}
    </select>
    <button>${texts.show}</button>
  </form>`
}

/** @param all the text of the first option */
export const tenantOptions = (
  tenants: VisibleTenant[],
  chosen: VisibleTenant | null,
  all: string,
): Html =>
  html`<option value="">${all}</option>
    ${tenants.map(({ id, name }) =>
      chosen?.id === id
        ? html`<option value="${id}" selected>${name}</option>`
        : html`<option value="${id}">${name}</option>`,
    )}`

/** Too many tenants for a list: the operator looks for one among all. */
export const searchInstead = (
  path: TenantPage,
  chosen: VisibleTenant | null,
  { language }: Context,
): Html => {
  const { allBusinesses, chooseBusiness } = layoutTexts[language]
  return html`${chosen && html`<bdi>${chosen.name}</bdi> <a class="button" href="${path}">${allBusinesses}</a>`}
    <a class="button" href="/ops/tenants?for=${encodeURIComponent(path)}">${chooseBusiness}</a>`
}
