/** The page at `/`: the phone of every person, with what they received and wrote, and what they can do. */
import express, { type Router } from 'express'
import { z } from 'zod'
import { html, type Html } from '../../app/web/ops/html.ts'
import type { WebhookEvent } from './events.ts'
import type { InboxMessage, Person, State } from './state.ts'

const person = { from: z.string(), phoneNumberId: z.string().optional() }
const text = z.string().min(1)
/** Without a `phoneNumberId`, the business that last wrote to the person is meant. */
const pageEvent = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('text'), text, context: text.optional(), ...person }),
  z.object({ kind: z.literal('button'), text, context: text, payload: text, ...person }),
  z.object({ kind: z.literal('echo'), text, to: z.string() }),
])

export const pageRoutes = (
  state: State,
  inbound: (event: WebhookEvent) => Promise<unknown>,
): Router => {
  const router = express.Router()
  router.get('/', (_req, res) => void res.type('html').send(page(state).html))
  router.get('/page/phones', (_req, res) => void res.type('html').send(phones(state).html))
  router.post('/page/event', express.urlencoded(), (req, res) =>
    Promise.try(() => inbound(pageEvent.parse(req.body))).then(
      () => res.redirect(303, '/'),
      (error: unknown) => void res.status(400).type('text').send(String(error)),
    ),
  )
  return router
}

const page = (state: State): Html =>
  html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>Fake WhatsApp</title>
        <style>
          ${{ html: STYLE }}
        </style>
      </head>
      <body>
        <header>
          <h1>Fake WhatsApp</h1>
        </header>
        <main>${phones(state)}</main>
        <script>
          ${{ html: PAGE_SCRIPT }}
        </script>
      </body>
    </html>`

/** The part of the page that is refreshed. */
const phones = (state: State): Html =>
  state.people.size === 0
    ? html`<p>No messages yet.</p>`
    : html`${[...state.people.values()].map(person => phoneOf(state, person))}`

const phoneOf = (state: State, { phone, name, lines }: Person): Html => {
  const inbox = state.inbox(phone)
  const nameOf = (id: string) => state.numbers.get(id)?.name ?? id
  const chat = [
    ...inbox.map(one => ({ at: one.acceptedAt, item: message(one, nameOf(one.phoneNumberId)) })),
    ...lines.map(one => ({ at: one.at, item: line(one, nameOf(one.phoneNumberId)) })),
  ].toSorted((one, other) => one.at.localeCompare(other.at))
  return html`<section id="${phone}">
    <h2 dir="auto">${name} <small>${phone}</small></h2>
    <ol>
      ${chat.map(({ item }) => item)}
    </ol>
    ${form({ kind: 'text', from: phone }, textField('Reply'))}
    ${form({ kind: 'echo', to: phone }, textField('Owner replies from the app'))}
  </section>`
}

const TICKS = { sent: '✓', delivered: '✓✓', read: '✓✓', played: '✓✓', failed: '✗' }

const message = (one: InboxMessage, business: string): Html => {
  const { to: from, phoneNumberId, wamid: context, statuses, template } = one
  const last = statuses.at(-1)?.status
  const tap = { kind: 'button', from, phoneNumberId, context }
  return html`<li class="business">
    <b dir="auto" title="${template?.name}">${business}</b>
    <p dir="auto">${linked(one.text)}</p>
    <small>${time(one.acceptedAt)} <i class="${last}">${last ? TICKS[last] : '·'}</i></small>
    ${template?.buttons.map(button => form({ ...tap, ...button }, html`<button dir="auto">${button.text}</button>`))}
    <details>
      <summary>Quote</summary>
      ${form({ ...tap, kind: 'text' }, textField('Answer this message'))}
    </details>
  </li>`
}

const textField = (placeholder: string): Html =>
  html`<input name="text" dir="auto" placeholder="${placeholder}" required /><button>Send</button>`

/** A text whose addresses can be tapped. */
const linked = (text: string): Html =>
  html`${text.split(/(https?:\/\/\S+)/).map((part, n) => (n % 2 ? html`<a href="${part}" target="_blank" rel="noreferrer">${part}</a>` : part))}`

const line = ({ by, text, at }: Person['lines'][number], business: string): Html =>
  html`<li class="${by}">
    <b dir="auto">${by === 'owner' && `${business} (owner, by hand)`}</b>
    <p dir="auto">${text}</p>
    <small>${time(at)}</small>
  </li>`

const time = (at: string): Html => html`<time>${new Date(at).toTimeString().slice(0, 8)}</time>`

const form = (hidden: Record<string, string>, inside: Html): Html =>
  html`<form method="post" action="/page/event">
    ${Object.entries(hidden).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`)}${inside}
  </form>`

/** Refreshes the chats every second. The forms stay, so that a half-written reply is not lost. */
export const PAGE_SCRIPT = `
const main = document.querySelector('main')
const refresh = async () => {
  const answer = await fetch('/page/phones').catch(() => undefined)
  if (!answer?.ok) return
  const fresh = document.createElement('main')
  fresh.innerHTML = await answer.text()
  for (const phone of fresh.querySelectorAll('section')) {
    const shown = document.getElementById(phone.id)
    if (!shown) main.append(phone)
    else {
      const [now, next] = [shown.querySelector('ol'), phone.querySelector('ol')]
      // A list in which an answer is being written is not replaced: the text would be lost.
      if (now.querySelector('details[open]') || now.innerHTML === next.innerHTML) continue
      now.innerHTML = next.innerHTML
      now.scrollTop = now.scrollHeight
    }
  }
  if (fresh.querySelector('section')) main.querySelector('main > p')?.remove()
}
addEventListener('submit', async event => {
  event.preventDefault()
  const form = event.target
  const body = new URLSearchParams(new FormData(form))
  const answer = await fetch(form.getAttribute('action'), { method: 'POST', body })
  if (answer.ok) {
    form.reset()
    form.closest('details')?.removeAttribute('open')
  }
  else alert(await answer.text())
  await refresh()
})
document.querySelectorAll('ol').forEach(chat => { chat.scrollTop = chat.scrollHeight })
setInterval(refresh, 1000)
`

const STYLE = `
body { margin: 0; font: 15px/1.4 system-ui, sans-serif; background: #d9dbd5; color: #111 }
header { display: flex; flex-wrap: wrap; gap: 1em; align-items: center; padding: .5em 1em; background: #075e54 }
header h1 { margin: 0; font-size: 1.1em; color: #fff }
main { display: flex; flex-wrap: wrap; gap: 1em; padding: 1em; align-items: start }
section { width: 340px; background: #efeae2; border-radius: 18px; overflow: hidden; box-shadow: 0 1px 6px #0004 }
h2 { margin: 0; padding: .6em 1em; font-size: 1em; background: #128c7e; color: #fff }
h2 small { font-weight: normal; opacity: .8; unicode-bidi: isolate }
ol { list-style: none; margin: 0; padding: .6em; height: 380px; overflow-y: auto; display: flex; flex-direction: column; gap: .5em }
li { max-width: 85%; padding: .4em .7em; border-radius: 10px; background: #fff; align-self: flex-start }
li.person { background: #d9fdd3; align-self: flex-end } li.owner { background: #fff6d6 }
li b { display: block; font-size: .8em; color: #128c7e }
li p { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere } li small { color: #667; font-size: .75em }
i { font-style: normal } i.read, i.played { color: #1f9bf0 } i.failed { color: #c00 }
form { display: flex; gap: .4em; padding: .25em .6em } li form { padding: .3em 0 0 }
li form button { width: 100%; color: #0277b5; background: #f4f9fc }
input, button { padding: .35em .6em; border: 1px solid #bbb; border-radius: 8px; background: #fff }
input { flex: 1; min-width: 0 } button { cursor: pointer }
`
