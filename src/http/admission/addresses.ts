// Which methods each address supports, and in which dialect failures are answered there. Fastify keeps a tree of routes
// for each method, so it cannot distinguish an unknown address from one with other methods.

import type { FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import FindMyWay from 'find-my-way'
import { AppError } from '../../core/errors.ts'

/** Answers a failure in a dialect. */
export type AnswerFailure = (failure: AppError, request: FastifyRequest, reply: FastifyReply) => void

type Addresses = {
  /** The methods of a request's address, in a fixed order and with OPTIONS; undefined if the address does not exist. */
  methodsOf(request: FastifyRequest): string | undefined
  /** How failures are answered at the address of a request; undefined for Flatline's own dialect. */
  answerOf(request: FastifyRequest): AnswerFailure | undefined
  /** Failures at addresses that match are answered by `answer`, even if there is no route. */
  claim(path: RegExp, answer: AnswerFailure): void
  /** 204 to OPTIONS, 405 to any other unsupported method, 404 for an address that does not exist. */
  refuse(request: FastifyRequest, reply: FastifyReply): FastifyReply
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** How failures are answered at this address. */
    answer?: AnswerFailure
    /** The pattern to which this address redirects, and whose methods it has. */
    redirectsTo?: string
  }
  interface FastifyInstance {
    knownAddresses: Addresses
  }
}

/** The route objects themselves, because inner plugins still change their configuration. */
type Known = { methods: Set<string>; routes: RouteOptions[] }

/** Longer than the head of a request may be. */
const pathMax = 1_000_000

const methodOrder = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']

export const addressesPlugin = fp(
  async (app) => {
    const byPattern = new Map<string, Known>()
    // A part that is too long for a route still belongs to one of its addresses.
    const router = FindMyWay({ maxParamLength: pathMax })
    const claims: { path: RegExp; answer: AnswerFailure }[] = []

    function learn(route: RouteOptions): void {
      const { method, url, config } = route
      const pattern = config?.redirectsTo ?? url
      const known = byPattern.get(pattern) ?? { methods: new Set(), routes: [] }
      if (config?.redirectsTo === undefined) for (const one of [method].flat()) known.methods.add(one)
      known.routes.push(route)
      if (url.includes(':') && config?.requires !== 'ingest')
        route.onRequest = [refuseOtherAddress, ...[route.onRequest ?? []].flat()]
      for (const one of [pattern, url]) {
        if (byPattern.has(one)) continue
        byPattern.set(one, known)
        router.on('GET', one, () => undefined, known)
      }
    }

    function at(url: string): Known | undefined {
      const found = router.find('GET', url)
      return found === null || hasEmptyPart(found.params) ? undefined : found.store
    }

    /** Whether the found route belongs to the address, and not to a wider pattern that happens to have the method. */
    function isOfAddress({ routeOptions, url }: FastifyRequest): boolean {
      return routeOptions.url !== undefined && byPattern.get(routeOptions.url) === at(url)
    }

    /**
     * `DELETE /projects/` is not a call on a project without a name, and `DELETE /quarantine/retry` not one on an entry
     * of that name.
     */
    async function refuseOtherAddress(request: FastifyRequest, reply: FastifyReply): Promise<void> {
      if (!isOfAddress(request)) addresses.refuse(request, reply)
    }

    const addresses: Addresses = {
      methodsOf(request) {
        const known = at(request.url)
        if (known === undefined) return undefined
        return [...methodOrder.filter((method) => known.methods.has(method)), 'OPTIONS'].join(', ')
      },
      answerOf(request) {
        const { config } = request.routeOptions
        if (config.requires === 'ingest' || isOfAddress(request)) return config.answer
        const known = at(request.url) ?? at(withoutEscapes(request.url))
        const own = known?.routes.find(({ config }) => config?.answer !== undefined)
        return own?.config?.answer ?? claims.find(({ path }) => path.test(request.url))?.answer
      },
      claim: (path, answer) => void claims.push({ path, answer }),
      refuse(request, reply) {
        const methods = addresses.methodsOf(request)
        if (methods === undefined) throw new AppError('not_found', 'not found')
        reply.header('allow', methods)
        if (request.method === 'OPTIONS') return reply.code(204).send()
        throw new AppError('method_not_allowed', 'method not allowed')
      },
    }
    app.decorate('knownAddresses', addresses)
    app.addHook('onRoute', learn)
    app.setNotFoundHandler({}, addresses.refuse)
  },
  { name: 'http-addresses' },
)

/** A broken escape hides the address from the router. No fixed part of an address contains one. */
const withoutEscapes = (url: string) => url.replaceAll('%', '_')

/** The router also accepts an empty part of a path. */
function hasEmptyPart(params: unknown): boolean {
  return Object.values(params ?? {}).includes('')
}
