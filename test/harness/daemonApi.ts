import Docker from 'dockerode';

/** The daemon that the tests run on, asked without the engine. */
export const daemonApi = (): Docker =>
  new Docker({ socketPath: process.env.COPPICE_DOCKER_HOST!.replace('unix://', '') });
