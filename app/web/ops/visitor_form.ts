/** Forms of visitors who are not signed in: the sign-in form, and a form that was sent after the session had ended. */
import type { Request, RequestHandler, Response } from 'express'
import { addressCounter, addressKey } from '../addresses.ts'
import { bodyMemory, readRawBody } from '../raw_body.ts'
import { abort } from './errors.ts'
import { type Form, type KeptForm, SECRET_FIELDS } from './sign_in_form.ts'

/** These visitors are unknown, so all of them together get little memory, and each address a part of it. */
const memory = bodyMemory({ roomMb: 4, senderMb: 1 })
const reader = (limitKb: number) =>
  readRawBody({
    limitMb: limitKb / 1024,
    shareOf: req => ({ memory, sender: addressKey(req.ip) }),
  })
const readKept = reader(32)
/** The sign-in form has the fields of a kept form, with longer names. */
const readSignIn = reader(48)
const MAX_FIELDS = 500

/** @throws status 400, 413, 415 or 503 if the body is not read to its end */
const readFields = async (
  readBody: typeof readKept,
  req: Request,
  res: Response,
): Promise<Form> => {
  await new Promise<void>((resolve, reject) => {
    void readBody(req, res, error => {
      if (error instanceof Error) reject(error)
      else resolve()
    })
  })
  const body: unknown = req.body
  const fields = new URLSearchParams(Buffer.isBuffer(body) ? body.toString('utf8') : '')
  if (fields.size > MAX_FIELDS) abort(413)
  return Object.fromEntries([...new Set(fields.keys())].map(name => [name, valueOf(fields, name)]))
}

const valueOf = (fields: URLSearchParams, name: string): string | string[] => {
  const [first = '', ...others] = fields.getAll(name)
  return others.length ? [first, ...others] : first
}

/** Reads the sign-in form into `req.body`. */
export const readSignInForm: RequestHandler = async (req, res, next) => {
  req.body = await readFields(readSignIn, req, res)
  next()
}

const isOwnForm = (req: Request): boolean => {
  const site = req.get('sec-fetch-site')
  if (site !== undefined) return site === 'same-origin'
  const origin = req.get('origin')
  return origin !== undefined && URL.parse(origin)?.host === req.get('host')
}

/** A person sends one. More would cost time that other requests need. */
const KEPT_A_MINUTE = 30
const keptForms = addressCounter({ windowMs: 60_000 })

/** What the visitor sent. Not from other sites: the visitor would see and could send what another site filled in. */
export const keptForm = async (req: Request, res: Response): Promise<KeptForm | null> => {
  if (req.method !== 'POST' || !isOwnForm(req)) return null
  if (keptForms.add(req.ip) > KEPT_A_MINUTE) return null
  const hidden: string[] = [...SECRET_FIELDS, 'form']
  try {
    const fields = Object.entries(await readFields(readKept, req, res))
    return {
      path: req.originalUrl,
      fields: Object.fromEntries(fields.filter(([name]) => !hidden.includes(name))),
    }
  } catch {
    // Too large, cut off, or no memory. Only the values are lost.
    return null
  }
}

/** The page that a form was on. */
export const pageOf = (req: Request, { fields }: KeptForm): unknown => {
  const referer = URL.parse(req.get('referer') ?? '')
  return fields['back'] ?? (referer && `${referer.pathname}${referer.search}`)
}
