// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package schematest

func gateway() []Case {
	return of("Gateway", []Case{
		{Name: "nothing is required", Accepted: `{}`},
		{Name: "an image is not empty", Accepted: `{image: "example.com/goma@sha256:0"}`, Refused: `{image: ""}`, Field: "spec.image"},
		{Name: "an image has no spaces", Accepted: `{image: "goma:1"}`, Refused: `{image: "goma 1"}`, Field: "spec.image", Says: "should match"},
		{Name: "replicas are not negative", Accepted: `{replicas: 0}`, Refused: `{replicas: -1}`, Field: "spec.replicas"},
		{Name: "a cpu may be a number", Accepted: `{resources: {limits: {cpu: 1, memory: 512Mi}, requests: {cpu: 100m}}}`, Refused: `{resources: {limits: {cpu: much}}}`, Field: "spec.resources.limits.cpu"},
		{Name: "pull secrets have names", Accepted: `{imagePullSecrets: [{name: registry}]}`, Refused: `{imagePullSecrets: [registry]}`, Field: "spec.imagePullSecrets[0]"},
		{Name: "autoscaling is off unless enabled", Accepted: `{autoScaling: {minReplicas: 2, maxReplicas: 5}}`},
		{Name: "autoscaling keeps a pod", Accepted: `{autoScaling: {minReplicas: 1}}`, Refused: `{autoScaling: {minReplicas: 0}}`, Field: "spec.autoScaling.minReplicas"},
		{Name: "autoscaling has a maximum", Accepted: `{autoScaling: {maxReplicas: 1}}`, Refused: `{autoScaling: {minReplicas: 1, maxReplicas: 0}}`, Field: "spec.autoScaling.maxReplicas"},
		{Name: "the minimum is not above the maximum", Accepted: `{autoScaling: {enabled: true, minReplicas: 2, maxReplicas: 2}}`, Refused: `{autoScaling: {enabled: true, minReplicas: 3, maxReplicas: 2}}`, Field: "spec.autoScaling", Says: "minReplicas must not be greater"},
		{Name: "the minimum is not above the default maximum", Accepted: `{autoScaling: {minReplicas: 10}}`, Refused: `{autoScaling: {minReplicas: 11}}`, Field: "spec.autoScaling", Says: "minReplicas must not be greater"},
		{Name: "a cpu target is a percentage", Accepted: `{autoScaling: {targetCPUUtilizationPercentage: 150}}`, Refused: `{autoScaling: {targetCPUUtilizationPercentage: 0}}`, Field: "spec.autoScaling.targetCPUUtilizationPercentage"},
		{Name: "a memory target is a percentage", Accepted: `{autoScaling: {targetMemoryUtilizationPercentage: 80}}`, Refused: `{autoScaling: {targetMemoryUtilizationPercentage: 0}}`, Field: "spec.autoScaling.targetMemoryUtilizationPercentage"},
		{Name: "tolerations and spread are those of pods", Accepted: `{nodeSelector: {a: b}, tolerations: [{operator: Exists}], topologySpreadConstraints: [{maxSkew: 1, topologyKey: z, whenUnsatisfiable: DoNotSchedule}]}`, Refused: `{topologySpreadConstraints: [{maxSkew: 1}]}`, Field: "spec.topologySpreadConstraints[0].topologyKey"},
		{Name: "nothing need be spread", Accepted: `{topologySpreadConstraints: []}`},
		{Name: "the operator's labels stay its own", Accepted: `{podLabels: {team: edge}}`, Refused: `{podLabels: {app: other}}`, Field: "spec.podLabels", Says: "the operator's"},
		{Name: "the operator's annotations stay its own", Accepted: `{podAnnotations: {a.example.com/b: c}}`, Refused: `{podAnnotations: {goma.jkaninda.dev/config-hash: x}}`, Field: "spec.podAnnotations", Says: "the operator's"},
		{Name: "the operator's variables stay its own", Accepted: `{env: [{name: GOMA_PUBLIC_A, value: b}]}`, Refused: `{env: [{name: GOMA_DRAIN_DELAY, value: 1s}]}`, Field: "spec.env", Says: "the operator's"},
		{Name: "a variable stands once", Accepted: `{env: [{name: A, value: b}, {name: B, valueFrom: {secretKeyRef: {name: s, key: k}}}]}`, Refused: `{env: [{name: A, value: b}, {name: A, value: c}]}`, Field: "spec.env[1]"},
		{Name: "a rolling update has its type", Accepted: `{strategy: {rollingUpdate: {maxSurge: 50%}}}`, Refused: `{strategy: {type: Recreate, rollingUpdate: {maxSurge: 1}}}`, Field: "spec.strategy", Says: "rollingUpdate goes with"},
		{Name: "a pod has time to end", Accepted: `{terminationGracePeriodSeconds: 10}`, Refused: `{terminationGracePeriodSeconds: 5}`, Field: "spec.terminationGracePeriodSeconds"},
		{Name: "a budget has one bound", Accepted: `{podDisruptionBudget: {minAvailable: 50%}}`, Refused: `{podDisruptionBudget: {minAvailable: 1, maxUnavailable: 1}}`, Field: "spec.podDisruptionBudget", Says: "not both"},
		{Name: "a budget is a number or a share", Accepted: `{podDisruptionBudget: {enabled: true, maxUnavailable: 2}}`, Refused: `{podDisruptionBudget: {maxUnavailable: some}}`, Field: "spec.podDisruptionBudget.maxUnavailable"},
		{Name: "a network policy has peers", Accepted: `{networkPolicy: {enabled: true, from: [{ipBlock: {cidr: 10.0.0.0/8}}], adminFrom: [{podSelector: {}}]}}`, Refused: `{networkPolicy: {from: [10.0.0.0/8]}}`, Field: "spec.networkPolicy.from[0]"},
		{Name: "an account has annotations", Accepted: `{serviceAccount: {annotations: {a: b}}}`, Refused: `{serviceAccount: {annotations: [a]}}`, Field: "spec.serviceAccount.annotations"},
		{Name: "acme is the only issuer", Accepted: `{certManager: {provider: acme}}`, Refused: `{certManager: {provider: vault}}`, Field: "spec.certManager.provider"},
		{Name: "acme has an email", Accepted: `{certManager: {acme: {email: a@b}}}`, Refused: `{certManager: {acme: {}}}`, Field: "spec.certManager.acme.email"},
		{Name: "the email is not empty", Accepted: `{certManager: {acme: {email: ops@example.com}}}`, Refused: `{certManager: {acme: {email: ""}}}`, Field: "spec.certManager.acme.email"},
		{Name: "the email is one", Accepted: `{certManager: {acme: {email: "${MAIL}@example.com"}}}`, Refused: `{certManager: {acme: {email: ops}}}`, Field: "spec.certManager.acme.email", Says: "should match"},
		{Name: "the directory is a url", Accepted: `{certManager: {acme: {email: a@b, directoryUrl: "https://acme-staging-v02.api.letsencrypt.org/directory"}}}`, Refused: `{certManager: {acme: {email: a@b, directoryUrl: staging}}}`, Field: "spec.certManager.acme.directoryUrl", Says: "absolute URL"},
		{Name: "the terms may be declined", Accepted: `{certManager: {acme: {email: a@b, termsAccepted: false}}}`},
		{Name: "challenges are known", Accepted: `{certManager: {acme: {email: a@b, challengeType: tls-alpn-01}}}`, Refused: `{certManager: {acme: {email: a@b, challengeType: tls-sni-01}}}`, Field: "spec.certManager.acme.challengeType"},
		{Name: "kinds of keys are known", Accepted: `{certManager: {acme: {email: a@b, keyType: rsa4096}}}`, Refused: `{certManager: {acme: {email: a@b, keyType: dsa}}}`, Field: "spec.certManager.acme.keyType"},
		{Name: "an external account has a key", Accepted: `{certManager: {acme: {email: a@b, eab: {keyId: k, hmacKeySecret: {name: s, key: k}}}}}`, Refused: `{certManager: {acme: {email: a@b, eab: {keyId: k}}}}`, Field: "spec.certManager.acme.eab.hmacKeySecret"},
		{Name: "authorities are in a Secret or a ConfigMap", Accepted: `{certManager: {acme: {email: a@b, rootCAsFrom: {configMapKeyRef: {name: c, key: ca.crt}}}}}`, Refused: `{certManager: {acme: {email: a@b, rootCAsFrom: {configMapKeyRef: {name: c, key: k}, secretKeyRef: {name: s, key: k}}}}}`, Field: "spec.certManager.acme.rootCAsFrom", Says: "either"},
		{Name: "dns-01 has a provider", Accepted: dns01(`dnsProvider: cloudflare, credentialsSecret: c`), Refused: dns01(`credentialsSecret: c`), Field: "spec.certManager.acme", Says: "dns-01 needs"},
		{Name: "dns-01 has credentials", Accepted: dns01(`dnsProvider: route53, credentialsSecret: c`), Refused: dns01(`dnsProvider: route53`), Field: "spec.certManager.acme", Says: "dns-01 needs"},
		{Name: "dns-01 has more than an empty provider", Accepted: dns01(`dnsProvider: route53, credentialsSecret: c`), Refused: dns01(`dnsProvider: "", credentialsSecret: c`), Field: "spec.certManager.acme", Says: "dns-01 needs"},
		{Name: "credentials are in a secret", Accepted: dns01(`dnsProvider: d, credentialsSecret: cloudflare-credentials`), Refused: dns01(`dnsProvider: d, credentialsSecret: ../x`), Field: "spec.certManager.acme.credentialsSecret"},
	})
}

func dns01(fields string) string {
	return `{certManager: {acme: {email: a@b, challengeType: dns-01, ` + fields + `}}}`
}

// of sets the kind of cases.
func of(kind string, cases []Case) []Case {
	for i := range cases {
		cases[i].Kind = kind
	}
	return cases
}
