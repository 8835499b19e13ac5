// Reloads the content of the page every few seconds while the page is visible, but not while the visitor fills in a form
// or has selected text.
const EVERY_MS = 5000
const content = () => document.querySelector('#content')

const isBusy = () =>
  content().contains(document.activeElement?.closest('input, select, textarea, button')) ||
  !document.getSelection().isCollapsed

const openDetails = () => [...document.querySelectorAll('details[id][open]')].map(({ id }) => id)

let shown = content().innerHTML
let waitMs = EVERY_MS

const refresh = async () => {
  if (document.hidden || isBusy()) return
  const answer = await fetch(location.href, { headers: { Accept: 'text/html' } })
  document.getElementById('signed-out').hidden = answer.status !== 401
  // Signed out or not available: the old content stays.
  if (!answer.ok) throw new Error(`answered ${answer.status}`)
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html')
  const next = page.querySelector('#content').innerHTML
  if (next === shown || isBusy()) return
  const open = openDetails()
  content().innerHTML = next
  shown = next
  for (const id of open) document.getElementById(id)?.setAttribute('open', '')
}

const loop = async () => {
  try {
    await refresh()
    waitMs = EVERY_MS
  } catch {
    waitMs = Math.min(waitMs * 2, 60_000)
  }
  setTimeout(() => void loop(), waitMs)
}
setTimeout(() => void loop(), waitMs)
