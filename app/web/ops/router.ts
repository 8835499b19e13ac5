/**
 * /ops: pages for the operator and for the tenants. The server renders all HTML; page.js keeps it up to date.
 *
 *   GET /ops            figures of the day               today.ts
 *   GET /ops/leads      people who wait, one person      leads.ts, lead.ts
 *   GET /ops/calls      each call and its result         calls.ts, call.ts
 *   GET /ops/waiting    upcoming messages                waiting.ts
 *   GET /ops/trouble    what needs attention             alerts.ts
 *   GET /ops/queue      the background jobs              queue.ts
 *   GET /ops/tenants    the tenants                      businesses.ts, tenants.ts, tenant.ts
 *   GET /ops/log        the audit log                    log.ts
 *   GET /l/<token>      the link in a notice             link.ts
 */
import compression from 'compression'
import { type ErrorRequestHandler, Router } from 'express'
import { isBeforeMigration } from '../../db/retry.ts'
import { log } from '../../log.ts'
import {
  checkConnection,
  requireFormToken,
  requireSignIn,
  resumedVisit,
  securityHeaders,
} from './access.ts'
import { alertPages } from './alerts.ts'
import { callerPages } from './caller.ts'
import { callPages } from './call.ts'
import { callsPages } from './calls.ts'
import { abort, errorPageOf } from './errors.ts'
import { html } from './html.ts'
import { languageOf } from './language.ts'
import { layoutTexts, plainLayout, staticFiles } from './layout.ts'
import { leadPages } from './lead.ts'
import { leadsPages } from './leads.ts'
import { logPages } from './log.ts'
import { queuePages } from './queue.ts'
import { sessionPages, signInPages } from './sign_in.ts'
import { tenantPages } from './tenant.ts'
import { exportFile } from './tenant/export.ts'
import { tenantsPages } from './tenants.ts'
import { todayPages } from './today.ts'
import { waitingPages } from './waiting.ts'

/**
 * Only for requests that another site cannot cause: from the size of a compressed page, that site could guess what stands
 * beside a text that it chose (BREACH).
 */
const compressed = compression({
  filter: (req, res) =>
    ['same-origin', 'none'].includes(String(req.headers['sec-fetch-site'])) &&
    /^(text\/(html|css|javascript)|image\/svg)/.test(String(res.getHeader('content-type'))),
})

export const ops = Router()
ops.use(compressed, securityHeaders, checkConnection, staticFiles, sessionPages, signInPages)
ops.use(requireSignIn, requireFormToken)
ops.use(
  todayPages,
  leadsPages,
  leadPages,
  callerPages,
  callsPages,
  callPages,
  waitingPages,
  alertPages,
  queuePages,
)
ops.use(exportFile, tenantsPages, tenantPages, logPages)
ops.use(() => abort(404))

/** Shows the error of a page. */
export const showError: ErrorRequestHandler = (error: unknown, req, res, next) => {
  if (res.headersSent) return next(error)
  // The form cannot be shown again, for example because the visitor signed in as another tenant.
  const resumed = resumedVisit(req)
  if (resumed) return res.redirect(303, resumed.context.url)
  const language = languageOf(req)
  const texts = layoutTexts[language]
  const { status, detail } = errorPageOf(error, language)
  if (isBeforeMigration(error))
    log.warn(`page not shown before the first migration: ${error.message}`)
  else if (status === 503) log.error({ err: error }, 'page failed')
  res.removeHeader('Content-Disposition')
  res.status(status).send(
    plainLayout(
      language,
      texts.errors[status],
      html`<div class="card narrow">
        <h1>${texts.errors[status]}</h1>
        ${detail && html`<p dir="auto">${detail}</p>`}
        <p><a href="/ops">${texts.back}</a></p>
      </div>`,
    ),
  )
}
ops.use(showError)
