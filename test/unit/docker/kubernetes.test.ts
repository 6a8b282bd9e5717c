import { readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { loadConfig } from '../../../src/config/load-config.ts'
import { readFlags } from '../../../src/config/read-flags.ts'
import { options, variableName } from '../../../src/config/options.ts'
import { buildTestApp } from '../../support/test-app.ts'

const folder = path.resolve(import.meta.dirname, '../../../docker/kubernetes')
const read = (file: string): string => readFileSync(path.join(folder, file), 'utf8')

interface Probe {
  readonly exec?: { readonly command: readonly string[] }
  readonly httpGet?: { readonly path: string, readonly port: string }
}
interface Container {
  readonly args: readonly string[]
  readonly ports: readonly { readonly name: string, readonly containerPort: number }[]
  readonly env: readonly { readonly name: string, readonly value?: string, readonly valueFrom?: { readonly secretKeyRef: { readonly name: string, readonly key: string, readonly optional?: boolean } } }[]
  readonly startupProbe: Probe
  readonly livenessProbe: Probe
  readonly readinessProbe: Probe
  readonly lifecycle: { readonly preStop: { readonly exec: { readonly command: readonly string[] } } }
  readonly securityContext: object
  readonly volumeMounts: readonly { readonly name: string, readonly mountPath: string }[]
}
interface PodSpec {
  readonly terminationGracePeriodSeconds: number
  readonly securityContext: { readonly runAsUser: number, readonly runAsNonRoot: boolean }
  readonly containers: readonly [Container]
  readonly volumes: readonly { readonly name: string, readonly configMap?: { readonly name: string }, readonly secret?: { readonly secretName: string }, readonly persistentVolumeClaim?: { readonly claimName: string } }[]
}
interface Manifest {
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly spec: Readonly<Record<string, unknown>>
}
interface Kustomization {
  readonly resources: readonly string[]
  readonly configMapGenerator: readonly { readonly name: string, readonly files: readonly string[] }[]
}

const kustomization = parse(read('kustomization.yaml')) as Kustomization
const manifests = new Map(readdirSync(folder).filter((file) => !['kustomization.yaml', 'drawbridge.yaml'].includes(file)).map((file) => [file, parse(read(file)) as Manifest]))
const specOf = <Spec>(file: string): Spec => manifests.get(file)?.spec as unknown as Spec
const { template } = specOf<{ readonly template: { readonly metadata: { readonly labels: Readonly<Record<string, string>> }, readonly spec: PodSpec } }>('deployment.yaml')
const pod = template.spec
const [container] = pod.containers
const settings = loadConfig(readFlags(['--config', path.join(folder, 'drawbridge.yaml')]).settings, { DRAWBRIDGE_API_KEY: 'k' }).config

describe('the manifests for Kubernetes', () => {
  test('are listed, but for those that need operators of their own', () => {
    const unlisted = [...manifests.keys()].filter((file) => !kustomization.resources.includes(file))
    expect(unlisted.sort()).toEqual(['autoscaling.yaml', 'inference-pool.yaml', 'pod-monitor.yaml'])
    expect(kustomization.resources.filter((file) => !manifests.has(file))).toEqual([])
    for (const file of unlisted) expect(read('kustomization.yaml')).toContain(file)
  })

  test('all mean the same pods', () => {
    const selectors = [
      specOf<{ readonly selector: { readonly matchLabels: object } }>('deployment.yaml').selector.matchLabels,
      specOf<{ readonly selector: object }>('service.yaml').selector,
      specOf<{ readonly selector: { readonly matchLabels: object } }>('disruption-budget.yaml').selector.matchLabels,
      specOf<{ readonly podSelector: { readonly matchLabels: object } }>('network-policy.yaml').podSelector.matchLabels,
      specOf<{ readonly selector: { readonly matchLabels: object } }>('pod-monitor.yaml').selector.matchLabels,
      specOf<{ readonly selector: { readonly matchLabels: object } }>('inference-pool.yaml').selector.matchLabels
    ]
    for (const selector of selectors) expect(template.metadata.labels).toMatchObject(selector)
    expect(specOf<{ readonly scaleTargetRef: { readonly name: string } }>('autoscaling.yaml').scaleTargetRef.name).toBe(manifests.get('deployment.yaml')?.metadata.name)
  })

  test('name the port that the image listens on', () => {
    const dockerfile = readFileSync(path.resolve(folder, '../../Dockerfile'), 'utf8')
    const exposed = Number(/^EXPOSE (\d+)$/m.exec(dockerfile)?.[1])
    const [port] = container.ports
    expect(port).toEqual({ name: 'http', containerPort: exposed })
    expect(specOf<{ readonly targetPorts: readonly object[] }>('inference-pool.yaml').targetPorts).toEqual([{ number: exposed }])
    expect(specOf<{ readonly ports: readonly object[] }>('service.yaml').ports).toMatchObject([{ targetPort: 'http' }])
    expect(specOf<{ readonly podMetricsEndpoints: readonly object[] }>('pod-monitor.yaml').podMetricsEndpoints).toMatchObject([{ port: 'http', path: '/metrics' }])
  })

  test('let a pod drain before it is killed', () => {
    const waitSeconds = Number(container.lifecycle.preStop.exec.command[1])
    expect(container.lifecycle.preStop.exec.command).toEqual(['sleep', String(waitSeconds)])
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(waitSeconds + settings.drainTimeoutMs / 1000)
  })

  test('probe paths that there are', async () => {
    const { app } = await buildTestApp([])
    for (const probe of [container.startupProbe, container.readinessProbe]) expect(probe.exec?.command).toEqual(['node', '/app/docker/healthcheck.mjs', '/ready'])
    expect(container.livenessProbe.httpGet).toEqual({ path: '/health', port: 'http' })
    for (const url of ['/ready', '/health', '/metrics']) expect(app.hasRoute({ method: 'GET', url })).toBe(true)
    await app.close()
  })

  test('set what the server knows, and mount what it reads', () => {
    const known = new Set(options.filter((option) => option.hasVariable).map(variableName))
    expect(container.env.map(({ name }) => name).filter((name) => name.startsWith('DRAWBRIDGE_') && !known.has(name))).toEqual([])
    const mounts = container.volumeMounts.map(({ mountPath }) => mountPath)
    const places = [container.args.at(-1) ?? '', ...container.env.map(({ value = 'off' }) => value).filter((value) => value !== 'off')]
    expect(places).toHaveLength(3)
    expect(places.filter((place) => !mounts.some((mount) => place === mount || place.startsWith(`${mount}/`)))).toEqual([])
    expect(container.volumeMounts.map(({ name }) => name).sort()).toEqual(pod.volumes.map(({ name }) => name).sort())
    const [config] = kustomization.configMapGenerator
    expect(config).toMatchObject({ files: ['drawbridge.yaml'] })
    expect(pod.volumes).toContainEqual({ name: 'config', configMap: { name: config?.name } })
    expect(pod.volumes).toContainEqual({ name: 'models', persistentVolumeClaim: { claimName: manifests.get('models.yaml')?.metadata.name } })
  })

  test('take keys and usage from PostgreSQL where there is a secret for it, and let pods reach it', () => {
    const { secretKeyRef } = container.env.find(({ name }) => name === 'DRAWBRIDGE_DATABASE_URL')?.valueFrom ?? {}
    expect(secretKeyRef).toEqual({ name: 'drawbridge-database', key: 'url', optional: true })
    expect(read('kustomization.yaml')).toContain(`secret generic ${secretKeyRef?.name} --from-literal=${secretKeyRef?.key}=postgres://`)
    // The image's own folder is read-only here, and a file of each pod's own would be lost with it.
    expect(container.env).toContainEqual({ name: 'DRAWBRIDGE_DATA_DIR', value: 'off' })
    const { egress } = specOf<{ readonly egress: readonly { readonly ports: readonly { readonly port: number }[] }[] }>('network-policy.yaml')
    expect(egress.flatMap(({ ports }) => ports.map(({ port }) => port)).toSorted()).toEqual([53, 53, 5432])
  })

  test('send Prometheus the key that the server has', () => {
    const secret = pod.volumes.find(({ name }) => name === 'keys')?.secret?.secretName
    const [endpoint] = specOf<{ readonly podMetricsEndpoints: readonly { readonly authorization: { readonly credentials: { readonly name: string, readonly key: string } } }[] }>('pod-monitor.yaml').podMetricsEndpoints
    expect(endpoint?.authorization.credentials.name).toBe(secret)
    const file = container.env.find(({ name }) => name === 'DRAWBRIDGE_API_KEY_FILE')?.value
    expect(file).toBe(`/etc/drawbridge/keys/${endpoint?.authorization.credentials.key}`)
    expect(read('kustomization.yaml')).toContain(`secret generic ${secret} --from-literal=${endpoint?.authorization.credentials.key}=`)
  })

  test('leave the container nothing that it does not need', () => {
    expect(pod).toMatchObject({ automountServiceAccountToken: false, securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } } })
    expect(container.securityContext).toEqual({ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } })
  })
})
