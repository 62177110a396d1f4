import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer as createPlainServer } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { isPublicAddress } from '../../src/outbound/addresses.ts'
import { createGuardedFetch, FetchError, type Resolve } from '../../src/outbound/guarded-fetch.ts'
import { listen } from '../fake-destination.ts'
import { createReceiver, eventually, scratchDir } from '../helper.ts'
import { patience, pause } from '../patience.ts'

const limits = { timeoutMs: patience(2000), responseMaxBytes: 1000, userAgent: 'Flatline/test' }
const open = createGuardedFetch({ ...limits, allowPrivateTargets: true })
const strict = createGuardedFetch({ ...limits, allowPrivateTargets: false })
const get = () => ({ method: 'GET', signal: new AbortController().signal }) as const
const refused = (error: unknown) => error instanceof FetchError && error.refused

const hostileUrls = [
  'http://127.0.0.1/',
  'http://127.1/',
  'http://2130706433/',
  'http://0x7f000001/',
  'http://0177.0.0.1/',
  'http://①②⑦.⓪.⓪.①/',
  'http://127.0.0.1./',
  'http://0/',
  'http://10.1.2.3/',
  'http://172.31.255.255/',
  'http://192.168.0.1:8080/',
  'http://169.254.169.254/latest/meta-data/',
  'http://100.100.100.200/',
  'http://168.63.129.16/',
  'http://192.0.0.192/',
  'http://198.18.0.1/',
  'http://203.0.113.9/',
  'http://224.0.0.1/',
  'http://255.255.255.255/',
  'http://[::]/',
  'http://[::1]/',
  'http://[::127.0.0.1]/',
  'http://[::ffff:127.0.0.1]/',
  'http://[::ffff:7f00:1]/',
  'http://[::ffff:0:10.0.0.1]/',
  'http://[64:ff9b::10.0.0.1]/',
  'http://[64:ff9b:1::1]/',
  'http://[2002:7f00:1::]/',
  'http://[2002:a9fe:a9fe::1]/',
  'http://[2001:0:1:2:3:4:5:6]/',
  'http://[2001:db8::1]/',
  'http://[fd00:ec2::254]/',
  'http://[fe80::1]/',
  'http://[fec0::1]/',
  'http://[ff02::1]/',
  'http://[0:0:0:0:0:ffff:7f00:0001]/',
  'http://[::ffff:169.254.169.254]/latest/meta-data/',
  'http://[::ffff:100.64.0.1]/',
  'http://[64:ff9b::7f00:1]/',
  'http://[64:ff9b::a9fe:a9fe]/',
  'http://[64:ff9b::6440:1]/',
  'http://[2002:c0a8:101::]/',
  'http://[2002:6440:1::]/',
  'http://[100::1]/',
  'http://[fd12:3456:789a::1]/',
  'http://[::7f00:1]/',
  'http://0xa9.0xfe.0xa9.0xfe/latest/',
  'http://0251.0376.0251.0376/',
  'http://2852039166/',
  'http://169.254.43518/',
  'http://100.64.0.1/',
  'http://192.0.2.1/',
  'http://192.88.99.1/',
  'http://240.0.0.1/',
  'http://１２７.0.0.1/',
  'http://127。0。0。1/',
  'http://127.0.0.1\\@example.org/',
  'http://127.0.0.1:80#@example.org/',
  'http://example.org:x@127.0.0.1/',
  'http:\\\\127.0.0.1/',
  'http:127.0.0.1/',
  ' http://127.0.0.1/ ',
  'http://127.0.0.1\t/',
  'http://localhost/',
  'http://LOCALHOST:8080/',
  'https://127.0.0.1/',
  'ws://example.org/',
  'jar:http://example.org!/',
  'javascript:fetch("http://127.0.0.1")',
  'ftp://example.org/',
  'file:///etc/passwd',
  'gopher://example.org/',
  'data:text/plain,hello',
  'http://user:secret@example.org/',
  'http://user@example.org/',
  'not a url',
  '//example.org/',
  '',
]

suite('the guard', () => {
  for (const url of hostileUrls) {
    test(`the guard refuses ${JSON.stringify(url)}`, () => assert.rejects(strict(url, get()), refused))
  }

  const publicAddresses = [
    '1.1.1.1',
    '172.32.0.1',
    '100.128.0.1',
    '2606:4700::1111',
    '64:ff9b::1.1.1.1',
    '2002:101:101::1',
    '::ffff:8.8.8.8',
  ]
  for (const address of publicAddresses) {
    test(`the guard admits ${address}`, () => assert.equal(isPublicAddress(address), true))
  }

  test('the guard refuses malformed addresses and addresses with a zone', () => {
    for (const text of ['', 'example.org', '1.2.3', 'fe80::1%eth0', '::1%lo'])
      assert.equal(isPublicAddress(text), false, text)
  })

  const inward = [
    [{ address: '127.0.0.1', family: 4 }],
    [
      { address: '::1', family: 6 },
      { address: '10.0.0.1', family: 4 },
    ],
    [{ address: '::ffff:169.254.169.254', family: 6 }],
    [{ address: 'fe80::1%eth0', family: 6 }],
    [],
  ]
  for (const found of inward) {
    test(`the guard refuses a name that resolves to ${found.map(({ address }) => address).join(' and ') || 'nothing'}`, async (t) => {
      const { url, received } = await createReceiver(t)
      const fetch = createGuardedFetch({ ...limits, allowPrivateTargets: false, resolve: async () => found })
      await assert.rejects(fetch(url.replace('127.0.0.1', 'inward.example'), get()), refused)
      assert.equal(received.length, 0)
    })
  }

  test('the guard resolves a name once and connects to an address of that answer', async (t) => {
    const { url, received } = await createReceiver(t)
    const asked: string[] = []
    const resolve: Resolve = async (host) => {
      asked.push(host)
      return [{ address: asked.length === 1 ? '127.0.0.1' : '192.0.2.1', family: 4 }]
    }
    const fetch = createGuardedFetch({ ...limits, allowPrivateTargets: true, resolve })
    const { status } = await fetch(url.replace('127.0.0.1', 'pinned.example'), get())
    assert.equal(status, 200)
    assert.deepEqual(asked, ['pinned.example'])
    assert.match(received[0]?.headers.host ?? '', /^pinned\.example:/)
  })
})

suite('redirects', () => {
  test('redirects to a private address, written or resolved, are not requested', async (t) => {
    const inner = await createReceiver(t)
    // The first server is one that the operator has exempted.
    const door = createServerAt('127.0.0.2')
    const source = await door.listen(t, (path) =>
      path === '/name' ? inner.url.replace('127.0.0.1', 'inward.example') : inner.url,
    )
    const fetch = createGuardedFetch({
      ...limits,
      allowPrivateTargets: false,
      isExempt: (address) => address === '127.0.0.2',
      resolve: async () => [{ address: '127.0.0.1', family: 4 }],
    })
    for (const [path, message] of [
      ['/address', /127\.0\.0\.1 is not an allowed destination/],
      ['/name', /inward\.example resolves to no allowed destination/],
    ] as const) {
      await assert.rejects(fetch(source + path, get()), message)
    }
    assert.equal(door.asked, 2)
    assert.equal(inner.received.length, 0)
  })

  test('with httpsOnly an http address is refused before anything is sent', async (t) => {
    const { url, received } = await createReceiver(t)
    const fetch = createGuardedFetch({ ...limits, allowPrivateTargets: true, httpsOnly: true })
    await assert.rejects(fetch(url, get()), (error) => refused(error) && /only https/.test(String(error)))
    assert.equal(received.length, 0)
    await assert.rejects(fetch(url.replace('http:', 'https:'), get()), (error) => !refused(error))
  })

  test('redirects from https to http are not followed', async (t) => {
    const plain = await createReceiver(t)
    const server = createServer({ key, cert }, (_request, response) =>
      response.writeHead(307, { location: plain.url }).end(),
    )
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    const { port } = server.address() as AddressInfo
    const script = `
      import { createGuardedFetch } from ${JSON.stringify(new URL('../../src/outbound/guarded-fetch.ts', import.meta.url).href)}
      const fetch = createGuardedFetch({ ...${JSON.stringify(limits)}, allowPrivateTargets: true })
      const { signal } = new AbortController()
      fetch('https://localhost:${port}/', { method: 'POST', body: 'secret', signal }).then(
        () => console.log('followed'),
        (error) => console.log(error.message),
      )`
    // Only a separate process can be configured to trust the certificate.
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], {
      env: { ...process.env, NODE_EXTRA_CA_CERTS: await certificateFile(t) },
    })
    assert.equal(stdout, 'localhost redirects from https to http\n')
    assert.equal(plain.received.length, 0)
  })

  test('the target of a redirect is checked like the first address', async (t) => {
    for (const location of ['file:///etc/passwd', 'http://user:pw@example.org/', 'gopher://example.org', 'http://[']) {
      const evil = await listen(t, (_request, response) => response.writeHead(302, { location }).end())
      await assert.rejects(open(evil, get()), FetchError, location)
    }
  })

  for (const [status, method, body] of [
    [301, 'GET', ''],
    [302, 'GET', ''],
    [303, 'GET', ''],
    [307, 'POST', 'hello'],
    [308, 'POST', 'hello'],
  ] as const) {
    test(`a redirect ${status} sends ${method}${body && ' and the body'}, without secret headers to another origin`, async (t) => {
      const target = await createReceiver(t)
      const source = await listen(t, (_request, response) => response.writeHead(status, { location: target.url }).end())
      const headers = {
        Authorization: 'Bearer x',
        'X-Token': 'x',
        'Idempotency-Key': '1',
        'Content-Type': 'text/plain',
      }
      const { signal } = new AbortController()
      await open(source, { method: 'POST', headers, body: 'hello', signal })
      const [request] = target.received
      assert.deepEqual([request?.method, request?.body], [method, body])
      assert.equal(request?.headers.authorization, undefined)
      assert.equal(request?.headers['x-token'], undefined)
      assert.equal(request?.headers['idempotency-key'], '1')
      assert.equal(request?.headers['content-type'], body === '' ? undefined : 'text/plain')
      assert.equal(request?.headers['user-agent'], 'Flatline/test')
    })
  }

  test('redirects within an origin keep the headers', async (t) => {
    const seen: (string | undefined)[] = []
    const url = await listen(t, (request, response) => {
      seen.push(request.headers.authorization)
      if (request.url === '/a') response.writeHead(302, { location: '/b' })
      response.end()
    })
    await open(`${url}/a`, { ...get(), headers: { authorization: 'Bearer x' } })
    assert.deepEqual(seen, ['Bearer x', 'Bearer x'])
  })

  test('at most three redirects are followed', async (t) => {
    let hops = 0
    const url = await listen(t, (request, response) => {
      hops++
      const left = Number(request.url?.slice(1))
      response.writeHead(left === 0 ? 200 : 302, { location: `/${left - 1}` }).end()
    })
    assert.equal((await open(`${url}/3`, get())).status, 200)
    await assert.rejects(open(`${url}/4`, get()), /more than 3 redirects/)
    assert.equal(hops, 8)
  })
})

suite('bounds', () => {
  const timeoutMs = patience(200)
  const quick = createGuardedFetch({ ...limits, allowPrivateTargets: true, timeoutMs })

  test('a destination that never answers is given up', async (t) => {
    const url = await listen(t, () => undefined)
    await assert.rejects(
      quick(url, get()),
      new RegExp(`^FetchError: no answer within ${timeoutMs} ms from 127\\.0\\.0\\.1$`),
    )
  })

  test('a name server that never answers is given up', async () => {
    const resolve = () => new Promise<never>(() => undefined)
    const fetch = createGuardedFetch({ ...limits, allowPrivateTargets: true, timeoutMs, resolve })
    await assert.rejects(
      fetch('http://slow.example/', get()),
      new RegExp(`no answer within ${timeoutMs} ms from slow\\.example`),
    )
  })

  test('the time-out covers all redirects together', async (t) => {
    const url = await listen(t, (_request, response) => {
      pause(timeoutMs * 0.45).then(() => response.writeHead(302, { location: '/' }).end())
    })
    await assert.rejects(quick(url, get()), new RegExp(`no answer within ${timeoutMs} ms`))
  })

  test('an endless slow body does not hide the status that came before it', async (t) => {
    const url = await listen(t, (_request, response) => {
      const timer = setInterval(() => response.write('x'), 20)
      response.on('close', () => clearInterval(timer))
    })
    assert.equal((await quick(url, get())).status, 200)
  })

  test('no more than the limit is read of an endless body', async (t) => {
    let closed = false
    const url = await listen(t, (_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write('x'.repeat(1000)));
      }
      response.on('drain', more).on('close', () => {
        closed = true
      })
      more()
    })
    const { body } = await open(url, get())
    assert.equal(body.length, 1000)
    await eventually('the connection to be given up', () => closed)
  })

  test('the caller can cancel, also while the connection is being made', async (t) => {
    const hanging = await listen(t, () => undefined)
    const unresolved = createGuardedFetch({
      ...limits,
      allowPrivateTargets: true,
      resolve: () => new Promise<never>(() => undefined),
    })
    for (const [fetch, url] of [
      [open, hanging],
      [unresolved, 'http://slow.example/'],
    ] as const) {
      const caller = new AbortController()
      pause(50).then(() => caller.abort())
      await assert.rejects(fetch(url, { method: 'GET', signal: caller.signal }), { name: 'AbortError' })
    }
  })

  test('a failure names at most the host', async () => {
    const url = 'http://127.0.0.1:1/services/T000/secret?token=secret'
    await assert.rejects(open(url, get()), /^FetchError: connection refused: 127\.0\.0\.1$/)
  })

  test('a request with an invalid header is not retried', async (t) => {
    const { url } = await createReceiver(t)
    await assert.rejects(open(url, { ...get(), headers: { 'x-a': 'a\nb: c' } }), refused)
  })

  test('a certificate of an unknown authority is refused, whatever the environment says', async (t) => {
    const server = createServer({ key, cert }, (_request, response) => response.end())
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
    t.after(() => {
      if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
      else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before
    })
    const { port } = server.address() as AddressInfo
    await assert.rejects(open(`https://localhost:${port}/`, get()), /SELF_SIGNED_CERT/)
  })
})

function createServerAt(host: string) {
  const door = {
    asked: 0,
    async listen(t: Pick<TestContext, 'after'>, locationOf: (path: string) => string): Promise<string> {
      const server = createPlainServer((request, response) => {
        door.asked++
        response.writeHead(302, { location: locationOf(request.url ?? '') }).end()
      })
      server.listen(0, host)
      await once(server, 'listening')
      t.after(() => {
        server.closeAllConnections()
        server.close()
      })
      return `http://${host}:${(server.address() as AddressInfo).port}`
    },
  }
  return door
}

async function certificateFile(t: Pick<TestContext, 'after'>): Promise<string> {
  const file = join(await scratchDir(t), 'cert.pem')
  await writeFile(file, cert)
  return file
}

// Of this test alone, and trusted by nobody.
const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgfs1Ffc/L95PzFIJ/
lMjiq+CNqCYVKx0oNdyIwzH0ykyhRANCAAT+GN9V3PhXcJu6DDWqWbuMc9YXTJMp
EAf3PbX6UmhIzZDN4oTcUZ2NT6CdnDhQCr3gCQamsy4hmfwSmvc6yNyW
-----END PRIVATE KEY-----`
const cert = `-----BEGIN CERTIFICATE-----
MIIBfjCCASWgAwIBAgIULuZn28K2AC4afHSxOyHemzXIfDgwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjIyMDIzOFoYDzIxMjYxMDI5
MjIwMjM4WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAT+GN9V3PhXcJu6DDWqWbuMc9YXTJMpEAf3PbX6UmhIzZDN4oTcUZ2N
T6CdnDhQCr3gCQamsy4hmfwSmvc6yNyWo1MwUTAdBgNVHQ4EFgQUwcA7dp3b4zLw
dSuOs6IBXGpn/oswHwYDVR0jBBgwFoAUwcA7dp3b4zLwdSuOs6IBXGpn/oswDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiBQeeiP15WV2vfJraFaUxIb
aBDjbZwJk1Y06JEpdpLNTwIgWXcRne86j6R/fxCtm9kciGIwGwdbSYASNPVPA0FL
uK8=
-----END CERTIFICATE-----`
