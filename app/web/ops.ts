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
import { log } from '../log.ts'
import { isUserError } from '../errors.ts'
import { html } from './html.ts'
import { door, headers } from './ops/door.ts'
import { files } from './ops/files.ts'
import { languageOf } from './ops/language.ts'
import { bareLayout } from './ops/layout.ts'
import { callPages } from './ops/call.ts'
import { callsPages } from './ops/calls.ts'
import { framePages } from './ops/frame.ts'
import { fromOurForm, signedIn } from './ops/page.ts'
import { refuse, type RefusalStatus } from './ops/refuse.ts'
import { todayPages } from './ops/today.ts'
import { troublePages } from './ops/trouble.ts'
import { waitingPages } from './ops/waiting.ts'
import { exportFile } from './ops/tenant/export.ts'
import { tenantPages } from './ops/tenant.ts'
import { tenantsPages } from './ops/tenants.ts'
import { signInPages } from './ops/sign_in.ts'
import { logPages } from './ops/log.ts'
import { layoutWords } from './ops/words/layout.ts'

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
