/**
 * /ops: what became of every call and why, and what a person can do about it. Every page is made here, by the
 * server; one small script keeps it up to date where there is JavaScript.
 *
 *   GET /ops            today                ops/today.ts
 *   GET /ops/calls      every call, and why  ops/calls.ts, ops/call.ts
 *   GET /ops/waiting    what is due when     ops/waiting.ts
 *   GET /ops/trouble    what needs a person  ops/trouble.ts
 *   GET /ops/tenants    the businesses       ops/tenants.ts, ops/tenant.ts
 *   GET /ops/log        what was done        ops/log.ts
 */
import { type ErrorRequestHandler, Router } from 'express'
import { z } from 'zod'
import { isUserError } from '../../errors.ts'
import { log } from '../../log.ts'
import { callPages } from './call.ts'
import { callsPages } from './calls.ts'
import { door, headers } from './door.ts'
import { files } from './files.ts'
import { framePages } from './frame.ts'
import { html } from './html.ts'
import { languageOf } from './language.ts'
import { bareLayout } from './layout.ts'
import { logPages } from './log.ts'
import { fromOurForm, signedIn } from './page.ts'
import { type RefusalStatus, refuse } from './refuse.ts'
import { signInPages } from './sign_in.ts'
import { tenantPages } from './tenant.ts'
import { exportFile } from './tenant/export.ts'
import { tenantsPages } from './tenants.ts'
import { todayPages } from './today.ts'
import { troublePages } from './trouble.ts'
import { waitingPages } from './waiting.ts'
import { layoutWords } from './words/layout.ts'

export const ops = Router()
ops.use(headers, door, files, signInPages, signedIn, fromOurForm)
ops.use(framePages)
ops.use(todayPages)
ops.use(waitingPages)
ops.use(troublePages)
ops.use(callsPages, callPages)
ops.use(exportFile, tenantsPages, tenantPages)
ops.use(logPages)
ops.use(() => refuse(404))

const KNOWN: RefusalStatus[] = [400, 401, 403, 404, 409, 413, 429]

/** What a person may know of an error: what she herself entered or asked for. */
const refusalOf = (error: unknown): { status: RefusalStatus | 503; detail: string } => {
  if (isUserError(error))
    return error.mistake === 'not_found'
      ? { status: 404, detail: '' }
      : { status: 400, detail: error.message }
  if (error instanceof z.ZodError) {
    const wrong = error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
    return { status: 400, detail: wrong.join('\n') }
  }
  const { status, detail = '' }: { status?: unknown; detail?: unknown } = Object(error)
  const known = KNOWN.find(candidate => candidate === status)
  return { status: known ?? 503, detail: known && typeof detail === 'string' ? detail : '' }
}

/** What a person sees instead of the page. Of what nobody foresaw, the log has the rest. */
const onError: ErrorRequestHandler = (error: unknown, req, res, next) => {
  if (res.headersSent) return next(error)
  const language = languageOf(req)
  const words = layoutWords[language]
  const { status, detail } = refusalOf(error)
  if (status === 503) log.error({ err: error }, 'page failed')
  res.removeHeader('Content-Disposition')
  res.status(status).send(
    bareLayout(
      language,
      words.refused[status],
      html`<div class="card narrow">
        <h1>${words.refused[status]}</h1>
        ${detail && html`<p dir="auto">${detail}</p>`}
        <p><a href="/ops">${words.back}</a></p>
      </div>`,
    ),
  )
}
ops.use(onError)
