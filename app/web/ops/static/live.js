// Keeps the page up to date while somebody looks at it: asks for it again, and puts what has changed in its
// place. Nothing changes under the hands of somebody who is filling in a form, or has selected text.
const EVERY_MS = 5000
const content = () => document.querySelector('#content')

const isBusy = () =>
  content().contains(document.activeElement?.closest('input, select, textarea, button')) ||
  !document.getSelection().isCollapsed

const opened = () => [...document.querySelectorAll('details[id][open]')].map(({ id }) => id)

let shown = content().innerHTML
let wait = EVERY_MS

const refresh = async () => {
  if (document.hidden || isBusy()) return
  const answer = await fetch(location.href, { headers: { Accept: 'text/html' } })
  // Signed out, or away for a moment: what stands there stays, and the next load tells.
  if (!answer.ok) throw new Error(`answered ${answer.status}`)
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html')
  const next = page.querySelector('#content').innerHTML
  if (next === shown || isBusy()) return
  const open = opened()
  content().innerHTML = next
  shown = next
  for (const id of open) document.getElementById(id)?.setAttribute('open', '')
}

const round = async () => {
  try {
    await refresh()
    wait = EVERY_MS
  } catch {
    wait = Math.min(wait * 2, 60_000)
  }
  setTimeout(() => void round(), wait)
}
setTimeout(() => void round(), wait)
