// What the pages do with JavaScript: copy a value, keep what was typed, and stay up to date. All of them work without it.
document.documentElement.classList.add('js')
const content = document.getElementById('content')

// A value with a button that copies it. Browsers allow that over https only, so elsewhere the value is selected.
const copy = async button => {
  const value = document.getElementById(button.dataset.copy)
  try {
    await navigator.clipboard.writeText(value.textContent.trim())
    button.textContent = button.dataset.done
  } catch {
    getSelection().selectAllChildren(value)
  }
}
document.addEventListener('click', ({ target }) => {
  const button = target.closest('button[data-copy]')
  if (button) void copy(button)
})

// The text in a form with `data-draft` survives a reload of the page, until the form was sent: then its key changes.
const DRAFT = 'ringback:draft'
const draftForm = () => document.querySelector('form[data-draft]')

const keepDraft = isSent => {
  const form = draftForm()
  const { text, key } = form.elements
  const draft = { of: form.dataset.draft, text: text.value, sentWith: isSent ? key.value : null }
  sessionStorage.setItem(DRAFT, JSON.stringify(draft))
}

const restoreDraft = () => {
  const form = draftForm()
  const draft = JSON.parse(sessionStorage.getItem(DRAFT) ?? 'null')
  if (!form || draft?.of !== form.dataset.draft) return
  const { text, key } = form.elements
  if (draft.sentWith !== null && draft.sentWith !== key.value) sessionStorage.removeItem(DRAFT)
  else if (text.value === '') text.value = draft.text
}
document.addEventListener('input', ({ target }) => {
  if (target.form && target.form === draftForm()) keepDraft(false)
})
document.addEventListener('submit', ({ target }) => {
  if (target === draftForm()) keepDraft(true)
})

// After a form that leads back to its page, the page is scrolled as before. The next row is then under the thumb, so a second
// tap at the same place must do nothing for a moment.
const PLACE = 'ringback:place'
const AFTER_RETURN_MS = 700
const DOUBLE_TAP_PX = 40
let tap = { x: -1000, y: -1000 }
document.addEventListener('pointerdown', ({ clientX: x, clientY: y }) => (tap = { x, y }), true)
const returnToPlace = () => {
  const place = JSON.parse(sessionStorage.getItem(PLACE) ?? 'null')
  sessionStorage.removeItem(PLACE)
  if (place?.path !== location.pathname || location.hash || Date.now() - place.at > 10_000) return
  scrollTo(0, place.scrolled)
  let until = Date.now() + AFTER_RETURN_MS
  const ignoreSecondTap = event => {
    const apart = Math.hypot(event.clientX - place.tap.x, event.clientY - place.tap.y)
    const acts = event.target.closest('button, a')
    if (acts && Date.now() < until && apart < DOUBLE_TAP_PX) event.preventDefault()
  }
  document.addEventListener('click', ignoreSecondTap, true)
  // A visitor who has typed since then is not tapping twice.
  document.addEventListener('input', () => (until = 0), { once: true })
}
/** A form that failed is shown at its own address. If it succeeds now, it leads to the page above that. */
const pageOfForm = ({ method, action }) =>
  method === 'post' && new URL(action).pathname === location.pathname
    ? location.pathname.replace(/\/[^/]*$/, '')
    : location.pathname
document.addEventListener('submit', ({ target }) => {
  const place = { path: pageOfForm(target), scrolled: scrollY, tap, at: Date.now() }
  sessionStorage.setItem(PLACE, JSON.stringify(place))
})
// A form that failed leads to its first problem instead.
if (document.querySelector('[autofocus]')) sessionStorage.removeItem(PLACE)
else returnToPlace()

// The result of the last action stays above the page, but does not cover it for long.
const RESULT_MS = 8000
const result = document.querySelector('.flash.outside')
if (result) setTimeout(() => result.classList.add('seen'), RESULT_MS)

// Keeps all forms of the page while the visitor follows the link to sign in again. Secrets are left out.
const FORMS = 'ringback:forms'
const valueIn = ({ type, checked, value }) =>
  type === 'checkbox' || type === 'radio' ? checked : value
const fieldsOfPage = () =>
  [...content.querySelectorAll('form[method=post] [name]')].filter(
    ({ type, name }) =>
      // What the form showed belongs to the text in it.
      name === 'shown' || !['hidden', 'password', 'submit'].includes(type),
  )

const keepForms = () => {
  const fields = fieldsOfPage().map(field => [field.name, valueIn(field)])
  sessionStorage.setItem(FORMS, JSON.stringify({ path: location.pathname, fields }))
}

const restoreForms = () => {
  const kept = JSON.parse(sessionStorage.getItem(FORMS) ?? 'null')
  if (kept?.path !== location.pathname) return
  sessionStorage.removeItem(FORMS)
  for (const [at, field] of fieldsOfPage().entries()) {
    const [name, value] = kept.fields[at] ?? []
    if (name !== field.name) return
    if (typeof value === 'boolean') field.checked = value
    else field.value = value
  }
}
const signedOut = document.getElementById('signed-out')
signedOut?.querySelector('a').addEventListener('click', keepForms)
// Not on the sign-in form, which is shown at the same address.
if (signedOut) restoreForms()
restoreDraft()

// The page asks for its newest version again and again. A version in which nothing moves is shown in place. Otherwise a
// hint says how much is new, and the visitor decides when the rows may move. So no row ever moves under a thumb.
const FASTEST_MS = 5000
const SLOWEST_MS = 20_000
const AFTER_TOUCH_MS = 1500
const LONGEST_PRESS_MS = 10_000

/** The object that a row or control acts on. Two elements with different targets are never treated as the same one. */
const targetOf = element => {
  if (element.matches('a')) return element.getAttribute('href')
  if (element.matches('form')) return element.getAttribute('action')
  if (element.matches('[type=hidden]:not([name=form], [name=back], [name=key], [name=shown])'))
    return `${element.name}=${element.value}`
  return ''
}
const keyOf = node => {
  if (node.nodeType !== Node.ELEMENT_NODE) return node.nodeName
  const targets = node.matches('li, tr')
    ? [...node.querySelectorAll('a, form, [type=hidden]')].map(targetOf)
    : []
  return [node.nodeName, node.id, targetOf(node), ...targets].join(' ')
}

/** A closed <details> shows nothing, and a chart has a fixed size. */
const isFree = element =>
  element.matches('details:not([open])') ||
  (element.matches('figure') && !element.querySelector('details[open]'))

/** Whether the new version of an element differs only in texts. */
const isSteady = (old, next) =>
  old.nodeName === next.nodeName &&
  old.id === next.id &&
  (isFree(old) ||
    (targetOf(old) === targetOf(next) &&
      old.children.length === next.children.length &&
      [...old.children].every((child, at) => isSteady(child, next.children[at]))))

const countNew = next => {
  const left = new Map()
  const rows = part => [...part.querySelectorAll('li, tr')].filter(row => !row.closest('figure'))
  for (const row of rows(content)) left.set(keyOf(row), (left.get(keyOf(row)) ?? 0) + 1)
  return rows(next).filter(row => {
    const count = left.get(keyOf(row)) ?? 0
    left.set(keyOf(row), count - 1)
    return count <= 0
  })
}

const isEdited = ({ type, checked, defaultChecked, value, defaultValue }) =>
  ['checkbox', 'radio'].includes(type)
    ? checked !== defaultChecked
    : defaultValue !== undefined && value !== defaultValue

/** A form with typed text was made from an older version of the page, and must still say so when it is sent. */
const isShownBefore = ({ name, form }) => name === 'shown' && [...form.elements].some(isEdited)

/** Makes an element like its new version. A node that stays keeps its focus, its typed text, and whether it is open. */
const update = (old, next) => {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== next.nodeValue) old.nodeValue = next.nodeValue
    return
  }
  if (isShownBefore(old)) return
  for (const name of old.getAttributeNames())
    if (name !== 'open' && !next.hasAttribute(name)) old.removeAttribute(name)
  for (const { name, value } of next.attributes)
    if (name !== 'open' && old.getAttribute(name) !== value) old.setAttribute(name, value)
  const left = [...old.childNodes].map(node => ({ node, key: keyOf(node) }))
  // A list of its own, because the children move from one page to the other.
  const children = [...next.childNodes]
  let place = old.firstChild
  for (const child of children) {
    const key = keyOf(child)
    const at = left.findIndex(one => one.key === key)
    const [match] = at < 0 ? [] : left.splice(at, 1)
    if (match && match.node === place) place = place.nextSibling
    else old.insertBefore(match?.node ?? child, place)
    if (match) update(match.node, child)
  }
  for (const { node } of left) node.remove()
}

const hint = document.querySelector('#news button')
const title = document.title
/** The newest version, until it is shown. */
let next = null
let etag = null
let waitMs = FASTEST_MS
let touchedAt = 0
let isPressed = false
/** The visitor has just come back to this tab and touched nothing since. */
let isFresh = false

const isBusy = () =>
  document.hidden ||
  Date.now() - touchedAt < (isPressed ? LONGEST_PRESS_MS : AFTER_TOUCH_MS) ||
  content.contains(document.activeElement?.closest('form')) ||
  !getSelection().isCollapsed

const showNext = () => {
  const added = countNew(next)
  const focused = document.activeElement
  update(content, next)
  next = null
  hint.parentElement.hidden = true
  document.title = title
  restoreDraft()
  if (focused?.isConnected) focused.focus({ preventScroll: true })
  return added
}

/**
 * Fades the rows of people who no longer wait, for example because a colleague has called them back. So the visitor does not
 * call them again. At the end of a full page nothing fades: those people may only have moved to the next page.
 */
const fadeGone = () => {
  const personOf = row => row.querySelector('.open').getAttribute('href')
  const waiting = new Set([...next.querySelectorAll('.person')].map(personOf))
  const rows = [...content.querySelectorAll('.person')]
  const isFull = next.querySelector('a[href*="before="]') !== null
  const end = isFull ? rows.findLastIndex(row => waiting.has(personOf(row))) : rows.length
  for (const [at, row] of rows.entries())
    row.classList.toggle('gone', at < end && !waiting.has(personOf(row)))
}

const settle = () => {
  if (!next) return
  const steady = isSteady(content, next)
  if ((steady || isFresh) && !isBusy()) return void showNext()
  if (steady) return
  if (!isBusy()) fadeGone()
  const count = countNew(next).length
  hint.textContent = count > 0 ? hint.dataset.new.replace('#', count) : hint.dataset.changed
  hint.parentElement.hidden = false
  document.title = count > 0 ? `(${count}) ${title}` : title
}

hint?.addEventListener('click', () => {
  showNext()[0]?.scrollIntoView({ block: 'center' })
})

const refresh = async () => {
  if (document.hidden) return
  const headers = { Accept: 'text/html', ...(etag && { 'If-None-Match': etag }) }
  const answer = await fetch(location.href, { headers })
  signedOut.hidden = answer.status !== 401
  waitMs = answer.status === 200 ? FASTEST_MS : Math.min(waitMs * 1.5, SLOWEST_MS)
  if (answer.status === 200) {
    etag = answer.headers.get('etag')
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html')
    next = page.getElementById('content')
    // A form that stays open over midnight, or over a new session, needs the new token.
    const token = next.querySelector('[name=form]')?.value
    for (const field of content.querySelectorAll('[name=form]')) field.value = token ?? field.value
  } else if (answer.status !== 304 && answer.status !== 401)
    throw new Error(`answered ${answer.status}`)
  settle()
  isFresh = false
}

let timer = null
const loop = async () => {
  clearTimeout(timer)
  timer = null
  try {
    await refresh()
  } catch {
    waitMs = Math.min(waitMs * 2, 60_000)
  }
  timer = setTimeout(() => void loop(), waitMs)
}

const touched = ({ type }) => {
  touchedAt = Date.now()
  isFresh = false
  if (type === 'pointerdown') isPressed = true
  if (type === 'pointerup' || type === 'pointercancel') isPressed = false
  waitMs = FASTEST_MS
}

if (content.dataset.live !== undefined) {
  const types = ['pointerdown', 'pointerup', 'pointercancel', 'touchmove', 'wheel', 'scroll']
  for (const type of [...types, 'keydown'])
    addEventListener(type, touched, { capture: true, passive: true })
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) return
    isFresh = true
    setTimeout(() => (isFresh = false), 1000)
    // Otherwise it is asking already.
    if (timer !== null) void loop()
  })
  timer = setTimeout(() => void loop(), waitMs)
}
