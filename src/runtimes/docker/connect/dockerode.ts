import Docker from 'dockerode';

/** The library by itself, so that it is a bundle of its own and loaded by whoever talks to a daemon. */
export { Docker };
