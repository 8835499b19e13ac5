/**
 * Posts one event to one address. A tenant chooses the address, so it may name anything: our own network, or a server that
 * never ends its answer. Only addresses of the public internet are connected to, and of an answer only the status is read.
 */
import { Resolver } from 'node:dns/promises'
import https from 'node:https'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { userError } from '../errors.ts'
import { http } from '../http.ts'
import type { DeliveryError } from '../states.ts'

/** What came of an attempt. */
export type Outcome = { status: number } | { error: DeliveryError }

/** From the look-up of the name to the status of the answer. */
const TIMEOUT_MS = 15_000

/**
 * Addresses that are not reachable from everywhere, and those that contain an IPv4 address, which a gateway could translate.
 * From the registries of special-purpose addresses of IANA.
 */
const SPECIAL_IPV4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
]
/** Within 2000::/3. No other part of IPv6 is global: ::1, mapped IPv4, 64:ff9b::/96, fc00::/7, fe80::/10, multicast. */
const SPECIAL_IPV6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']
const GLOBAL_IPV6 = ['2000::/3']

// A list for each family: one with both would find ::ffff:127.0.0.1 in 127.0.0.0/8.
const listOf = (family: 'ipv4' | 'ipv6', nets: readonly string[]): BlockList => {
  const list = new BlockList()
  for (const net of nets) {
    const [address = '', bits] = net.split('/')
    list.addSubnet(address, Number(bits), family)
  }
  return list
}
const specialIpv4 = listOf('ipv4', SPECIAL_IPV4)
const specialIpv6 = listOf('ipv6', SPECIAL_IPV6)
const globalIpv6 = listOf('ipv6', GLOBAL_IPV6)
const loopbackIpv4 = listOf('ipv4', ['127.0.0.0/8'])
const loopbackIpv6 = listOf('ipv6', ['::1/128'])

/** Where events may be sent. Outside production to this machine too, so that a receiver can be tried out. */
export type Reach = { production: boolean }

/** Whether an address may be connected to. A text that is not an IP address may not. */
export const isAllowedAddress = (address: string, { production }: Reach): boolean => {
  // An address with a zone, such as fe80::1%eth0, belongs to one link.
  if (isIP(address) === 0 || address.includes('%')) return false
  if (isIP(address) === 4)
    return (
      !specialIpv4.check(address, 'ipv4') || (!production && loopbackIpv4.check(address, 'ipv4'))
    )
  return (
    (globalIpv6.check(address, 'ipv6') && !specialIpv6.check(address, 'ipv6')) ||
    (!production && loopbackIpv6.check(address, 'ipv6'))
  )
}

const hostOf = (url: string): string => new URL(url).hostname.replace(/^\[(.*)\]$/, '$1')

/** What is expected of an address, and whether it is refused because it is not public. */
type UrlProblem = { expected: string; isForbidden: boolean }

/** What is wrong with the address of an endpoint; null = nothing that can be seen without looking up its name. */
export const urlProblem = (written: string, reach: Reach): UrlProblem | null => {
  const expected = (text: string) => ({ expected: text, isForbidden: false })
  const scheme = expected(reach.production ? 'an https URL' : 'an https or http URL')
  if (!URL.canParse(written)) return scheme
  const { protocol, username, password, hash } = new URL(written)
  if (protocol !== 'https:' && (reach.production || protocol !== 'http:')) return scheme
  if (username !== '' || password !== '') return expected('a URL without user name and password')
  if (hash !== '') return expected('a URL without #')
  const host = hostOf(written)
  return isIP(host) !== 0 && !isAllowedAddress(host, reach)
    ? { expected: 'a public address', isForbidden: true }
    : null
}

/** The addresses of a name. It rejects if no name server answers. */
export type Resolve = (name: string) => Promise<string[]>

/**
 * Asks the name servers. Not getaddrinfo(): it has four threads for the whole process, and a slow name server of a tenant
 * would hold them all.
 */
const resolveName: Resolve = async name => {
  const resolver = new Resolver({ timeout: 2000, tries: 2 })
  const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)])
  const addresses = answers.flatMap(one => (one.status === 'fulfilled' ? one.value : []))
  const silent = answers.find(one => one.status === 'rejected' && !saysNone(one.reason))
  if (addresses.length === 0 && silent)
    throw new Error('no name server answered', { cause: silent })
  return addresses
}

/** A name server answered that there is no such name, or that it has no address of this family. */
const saysNone = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && /^(ENOTFOUND|ENODATA)$/.test(String(error.code))

const addressesOf = async (
  host: string,
  reach: Reach,
  resolve: Resolve,
): Promise<string[] | 'not_resolved' | 'forbidden_address'> => {
  const isLocal = !reach.production && /^(.*\.)?localhost\.?$/.test(host)
  const local = isLocal ? ['127.0.0.1', '::1'] : null
  const addresses = isIP(host) ? [host] : (local ?? (await resolve(host)))
  if (addresses.length === 0) return 'not_resolved'
  // Also if only one of them is not public: no public service has such a name.
  return addresses.every(address => isAllowedAddress(address, reach))
    ? addresses
    : 'forbidden_address'
}

/** A person waits for it. */
const ENTRY_TIMEOUT_MS = 5000

/** @returns a promise for a race. It only ever resolves */
const whenAborted = (signal: AbortSignal): Promise<'timeout'> =>
  new Promise(ends => signal.addEventListener('abort', () => ends('timeout'), { once: true }))

/**
 * Looks the name of an endpoint up. A name may get another address later, so each attempt to deliver checks again.
 *
 * @throws UserError if it has no address, or one that is not public
 */
export const checkHost = async (
  url: string,
  reach: Reach,
  resolve: Resolve = resolveName,
): Promise<void> => {
  const late = whenAborted(AbortSignal.timeout(ENTRY_TIMEOUT_MS))
  const asked = addressesOf(hostOf(url), reach, resolve).catch(() => 'timeout' as const)
  const found = await Promise.race([asked, late])
  if (found === 'not_resolved')
    throw userError('not_resolved', 'this name has no address: check the spelling', 'url')
  if (found === 'timeout')
    throw userError('not_resolved', 'no name server answered for this name: try again', 'url')
  if (found === 'forbidden_address')
    throw userError('forbidden_address', 'events are only sent to public addresses', 'url')
}

const TLS = /^(ERR_TLS_|ERR_SSL_|EPROTO|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_)/

const errorOf = (error: unknown): DeliveryError =>
  error instanceof Error && 'code' in error && TLS.test(String(error.code)) ? 'tls' : 'connection'

type Options = Reach & { resolve?: Resolve; timeoutMs?: number }

/**
 * Posts JSON and reads the status of the answer. It connects to an address that it has checked, follows no redirect and uses
 * no proxy: a proxy would look the name up again.
 */
export const post = async (
  { url, headers, body }: { url: string; headers: Record<string, string>; body: string },
  { resolve = resolveName, timeoutMs = TIMEOUT_MS, ...reach }: Options,
): Promise<Outcome> => {
  // The program may have been started in another mode since the endpoint was added.
  if (urlProblem(url, reach) !== null) return { error: 'forbidden_address' }
  const signal = AbortSignal.timeout(timeoutMs)
  const addresses = await Promise.race([
    addressesOf(hostOf(url), reach, resolve).catch(() => 'connection' as const),
    whenAborted(signal),
  ])
  if (typeof addresses === 'string') return { error: addresses }
  const found = addresses.map(address => ({ address, family: isIP(address) }))
  const [first] = found
  const lookup: LookupFunction = (_name, { all }, callback) => {
    if (all) callback(null, found)
    else callback(null, first?.address ?? '', first?.family)
  }
  const { request, Agent } = new URL(url).protocol === 'https:' ? https : http
  return new Promise(ends => {
    const sent = request(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': 'Ringback', ...headers },
      agent: new Agent({ keepAlive: false }),
      lookup,
      signal,
    })
    sent.on('response', answer => {
      ends({ status: answer.statusCode ?? 0 })
      answer.on('error', () => {})
      answer.destroy()
    })
    sent.on('error', error => ends({ error: signal.aborted ? 'timeout' : errorOf(error) }))
    // Without one of these events, for example after an answer 101.
    sent.on('close', () => ends({ error: 'connection' }))
    sent.end(body)
  })
}
