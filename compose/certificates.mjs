// Certificates of docker-compose.yml: an authority of this installation, and what it signs for the servers here. Node.js makes keys and
// signatures but no certificates, and the image has no openssl, so X.509 (RFC 5280) is written here, as far as it is needed.

import { createHash, createPrivateKey, generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto'

const dayMs = 86_400_000
const authorityDays = 20 * 365
const serverDays = 10 * 365
/** A certificate that ends sooner is replaced at the next start. */
const renewBeforeMs = 365 * dayMs

/** The key and the certificate of an authority, as PEM. */
export function createAuthority() {
  const { privateKey, publicKey } = newKey()
  const subject = `Flatline ${randomBytes(4).toString('hex')}`
  const extensions = [
    extension('551d13', true, sequence(der(0x01, [0xff]))),
    // May sign certificates and revocation lists, and nothing else.
    extension('551d0f', true, der(0x03, [1, 0x06])),
    extension('551d0e', false, der(0x04, keyId(publicKey))),
  ]
  const days = authorityDays
  return {
    key: pemOf(privateKey),
    certificate: certify({ subject, issuer: subject, publicKey, privateKey, extensions, days }),
  }
}

/** A key and a certificate for a server that is reached by these names and addresses (IPv4). */
export function createServer(authority, hosts) {
  const { privateKey, publicKey } = newKey()
  const issuer = new X509Certificate(authority.certificate)
  const extensions = [
    extension('551d13', true, sequence()),
    extension('551d0f', true, der(0x03, [7, 0x80])),
    // TLS servers.
    extension('551d25', false, sequence(oid('2b06010505070301'))),
    extension('551d11', false, sequence(...hosts.map(alternativeName))),
    extension('551d0e', false, der(0x04, keyId(publicKey))),
    extension('551d23', false, sequence(der(0x80, keyId(issuer.publicKey)))),
  ]
  const certificate = certify({
    subject: hosts[0],
    issuer: issuer.subject.replace('CN=', ''),
    publicKey,
    privateKey: createPrivateKey(authority.key),
    extensions,
    days: serverDays,
  })
  return { key: pemOf(privateKey), certificate }
}

/** Whether the authority has signed it, for all of these hosts, and for long enough. */
export function isCurrent(certificate, authority, hosts) {
  const [server, issuer] = [new X509Certificate(certificate), new X509Certificate(authority.certificate)]
  const covers = (host) => (isAddress(host) ? server.checkIP(host) : server.checkHost(host)) !== undefined
  return (
    server.verify(issuer.publicKey) && hosts.every(covers) && Date.parse(server.validTo) > Date.now() + renewBeforeMs
  )
}

const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })
const pemOf = (key) => key.export({ type: 'pkcs8', format: 'pem' })
const spkiOf = (key) => key.export({ type: 'spki', format: 'der' })
const keyId = (key) => createHash('sha1').update(spkiOf(key)).digest()
const isAddress = (host) => /^\d+(\.\d+){3}$/.test(host)
const alternativeName = (host) => (isAddress(host) ? der(0x87, host.split('.').map(Number)) : der(0x82, host))

function certify({ subject, issuer, publicKey, privateKey, extensions, days }) {
  // Clocks of other machines may be late.
  const from = Date.now() - dayMs
  // A positive number: its first bit is 0.
  const serial = randomBytes(16)
  serial[0] = (serial[0] & 0x3f) | 0x40
  const toBeSigned = sequence(
    der(0xa0, der(0x02, [2])),
    der(0x02, serial),
    ecdsaWithSha256,
    name(issuer),
    sequence(time(from), time(from + days * dayMs)),
    name(subject),
    spkiOf(publicKey),
    der(0xa3, sequence(...extensions)),
  )
  const signature = sign('sha256', toBeSigned, privateKey)
  const whole = sequence(toBeSigned, ecdsaWithSha256, der(0x03, [0], signature))
  return new X509Certificate(whole).toString()
}

/** One element of DER: tag, length, content. */
function der(tag, ...parts) {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part)))
  const { length } = content
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...head]), content])
}

function sequence(...parts) {
  return der(0x30, ...parts)
}

function oid(hex) {
  return der(0x06, Buffer.from(hex, 'hex'))
}

const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'))

function name(commonName) {
  return sequence(der(0x31, sequence(oid('550403'), der(0x0c, commonName))))
}

function extension(id, critical, value) {
  return sequence(oid(id), ...(critical ? [der(0x01, [0xff])] : []), der(0x04, value))
}

/** Two digits of the year until 2049, four from then on. */
function time(ms) {
  const digits = `${new Date(ms).toISOString().replace(/[-:T]|\..*/g, '')}Z`
  return digits < '2050' ? der(0x17, digits.slice(2)) : der(0x18, digits)
}
