import type { Accounts, WhatsAppNumber } from './accounts.ts'
import type { People } from './people.ts'
import { reaches } from './phone.ts'
import { complaint, missing, sendRequest } from './send-request.ts'
import type { Content, Refusal, SendRequest } from './send-request.ts'
import { renderTemplate, stateCode } from './template.ts'

/** What the person would read. */
const render = (
  request: SendRequest,
  to: string,
  number: WhatsAppNumber,
  accounts: Accounts,
  people: People,
): Content | Refusal => {
  if (request.type === 'template') {
    if (!request.template) return missing('template')
    const { name, language } = request.template
    const known = accounts.template(number.wabaId, name, language.code)
    const code = known ? stateCode[known.status] : 132001
    // An account without any template configured takes every name: a caller then needs no set-up.
    if (code && accounts.templates(number.wabaId).length > 0)
      return { code, details: `template name (${name}) in ${language.code}` }
    return renderTemplate(request.template, known)
  }
  if (request.type !== 'text')
    return { code: 131051, details: `This fake knows no messages of type ${request.type}` }
  if (!request.text) return missing('text')
  if (!people.windowIsOpen(to, number, Date.now()))
    return { code: 131047, details: 'More than 24 hours since the person last wrote' }
  return { type: 'text', text: request.text.body }
}

/** What a request comes to: whom it reaches with what, or why Meta refuses it. */
export const judge = (
  body: unknown,
  number: WhatsAppNumber,
  accounts: Accounts,
  people: People,
): { request: SendRequest; to: string; content: Content } | { refusal: Refusal } => {
  const { data: request, error } = sendRequest.safeParse(body)
  if (!request) return { refusal: complaint(error, body) }
  const to = reaches(request.to, number.displayNumber)
  if (!to) return { refusal: { code: 131009, details: "Parameter 'to' is not valid" } }
  if (to === number.displayNumber) return { refusal: { code: 131021 } }
  const content = render(request, to, number, accounts, people)
  return 'code' in content ? { refusal: content } : { request, to, content }
}
