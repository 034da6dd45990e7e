/** Names of registries, each in one spelling: who asks for an image by another one gets the same image. */

/** All that Docker Hub answers to; the one of references first. */
export const DOCKER_HUB_HOSTS: readonly string[] = ['index.docker.io', 'docker.io', 'registry-1.docker.io'];

export function isDockerHub(host: string): boolean {
  return DOCKER_HUB_HOSTS.includes(host);
}

/** `docker.io` for Docker Hub, others without the port that HTTPS has anyway. `host` is `host[:port]`. */
export function canonicalRegistry(host: string): string {
  const bare = host.replace(/:443$/, '');
  return isDockerHub(bare) ? 'docker.io' : bare;
}
