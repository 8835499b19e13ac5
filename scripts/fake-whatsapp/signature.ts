import { createHmac } from 'node:crypto'

/** How a delivery is signed. All but `signed` and `raw_utf8` must be refused by a receiver. */
export const signatureModes = ['signed', 'raw_utf8', 'unsigned', 'wrong_secret', 'altered'] as const
export type SignatureMode = (typeof signatureModes)[number]

/** The characters below U+0080 that Meta escapes besides what JSON demands. */
const escapes: Record<string, string> = {
  '/': String.raw`\/`,
  '@': String.raw`\u0040`,
  '<': String.raw`\u003C`,
  '%': String.raw`\u0025`,
}

/**
 * JSON as Meta puts it on the wire: everything outside ASCII as \uxxxx in lower-case hex, and some
 * characters of ASCII escaped too. Meta signs exactly these bytes, so that a receiver which signs
 * its own JSON.stringify fails on Hebrew, emoji and links (whatsapp-api-js issues 290 and 380,
 * nyaruka/courier issue 371). None of these characters occurs in JSON outside of strings.
 */
export const asciiJson = (value: unknown): string =>
  JSON.stringify(value).replace(
    /[/@<%\u0080-\uffff]/g,
    found => escapes[found] ?? String.raw`\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )

const sign = (body: Buffer, secret: string): string =>
  `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`

/** The bytes of a webhook POST and its signature header, if it has one. */
export const signed = (
  value: unknown,
  appSecret: string,
  mode: SignatureMode,
): { body: Buffer; signature?: string } => {
  const body = Buffer.from(mode === 'raw_utf8' ? JSON.stringify(value) : asciiJson(value))
  if (mode === 'unsigned') return { body }
  if (mode === 'wrong_secret') return { body, signature: sign(body, `not ${appSecret}`) }
  const signature = sign(body, appSecret)
  if (mode !== 'altered') return { body, signature }
  return { body: Buffer.from(body.toString().replace('{', '{"altered":true,')), signature }
}
