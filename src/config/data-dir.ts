// The permissions of DATA_DIR, whichever part of the service creates it first.

/**
 * If root runs the service, the embedded database runs as another user, who must be able to enter the directory; nobody
 * else may list or write it.
 */
export const dataDirMode = process.getuid?.() === 0 ? 0o711 : 0o700
