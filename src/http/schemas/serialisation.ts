// A serialiser is made when the first answer needs it. There are 270, and few of them are used in a process: all at once they would take 4 MB
// and 0.3 s of every start.

import SerializerSelector from '@fastify/fast-json-stringify-compiler'

type Build = ReturnType<typeof SerializerSelector>

const build = SerializerSelector()

export const buildSerializer: Build = (sharedSchemas, options) => {
  const compile = build(sharedSchemas, options)
  return (route) => {
    let serialise: ReturnType<typeof compile> | undefined
    return (answer) => {
      serialise ??= compile(route)
      return serialise(answer)
    }
  }
}
