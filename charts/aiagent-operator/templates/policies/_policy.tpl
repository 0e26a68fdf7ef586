{{/* Head of a policy: what every one has in common. Arguments: ctx (root), name. */}}
{{- define "policy.head" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {{ .name }}.workforce.dev
  labels:
    {{- include "workforce.labels" .ctx | nindent 4 }}
  annotations:
    helm.sh/resource-policy: keep
{{- end }}

{{- define "policy.binding" -}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ .name }}.workforce.dev
  labels:
    {{- include "workforce.labels" .ctx | nindent 4 }}
  annotations:
    helm.sh/resource-policy: keep
spec:
  policyName: {{ .name }}.workforce.dev
  validationActions: [Deny]
{{- end }}

{{/* Match conditions: by whom the request is made. */}}
{{- define "policy.byOperator" -}}
- name: by-the-operator
  expression: request.userInfo.username == '{{ include "workforce.username" . }}'
{{- end }}

{{- define "policy.notByOperator" -}}
- name: not-by-the-operator
  expression: request.userInfo.username != '{{ include "workforce.username" . }}'
{{- end }}

{{/* Controllers make pods from objects that these policies have seen before: what they make is what was allowed there. */}}
{{- define "policy.notByControllers" -}}
- name: not-by-a-controller
  expression: >-
    !(request.userInfo.username in [
    'system:kube-controller-manager',
    {{- range list "cronjob" "daemon-set" "deployment" "job" "replicaset" "statefulset" }}
    'system:serviceaccount:kube-system:{{ . }}-controller',
    {{- end }}
    {{- range .Values.policies.trustedControllers }}
    '{{ . }}',
    {{- end }}
    'system:serviceaccount:kube-system:replication-controller'])
{{- end }}

{{/* Rules that match every kind that owns pods. */}}
{{- define "policy.podOwners" -}}
- apiGroups: [""]
  apiVersions: ["*"]
  operations: {{ .operations }}
  resources: [pods, replicationcontrollers]
- apiGroups: [apps]
  apiVersions: ["*"]
  operations: {{ .operations }}
  resources: [daemonsets, deployments, replicasets, statefulsets]
- apiGroups: [batch]
  apiVersions: ["*"]
  operations: {{ .operations }}
  resources: [cronjobs, jobs]
{{- end }}

{{/* Variables: the pod (template) of any of these kinds, before and after, and its account under both of its names. */}}
{{- define "policy.podVariables" -}}
{{- range $prefix, $object := dict "pod" "object" "oldPod" "oldObject" }}
- name: {{ $prefix }}
  expression: >-
    {{ if eq $object "oldObject" }}request.operation != 'UPDATE' ? dyn({}) : {{ end -}}
    request.kind.kind == 'Pod' ? dyn({{ $object }}) :
    request.kind.kind == 'CronJob' ? dyn({{ $object }}).?spec.?jobTemplate.?spec.?template.orValue({}) :
    dyn({{ $object }}).?spec.?template.orValue({})
{{- end }}
{{- range $prefix, $pod := dict "accounts" "pod" "oldAccounts" "oldPod" }}
- name: {{ $prefix }}
  expression: >-
    [variables.{{ $pod }}.?spec.?serviceAccountName.orValue(''),
    variables.{{ $pod }}.?spec.?serviceAccount.orValue('')]
{{- end }}
{{- end }}

{{/* Variables: whether the pod of a run, one of the variable `runs` (pod specs), names a Secret or a ConfigMap whose content it gets. */}}
{{- define "policy.namedByRun" -}}
- name: runNamesSecret
  # Volumes name Secrets in many ways (secret, csi, azureFile, rbd and others), but always under one of these names.
  expression: >-
    variables.runs.exists(run, run.?volumes.orValue([]).exists(v, v.exists(k, type(v[k]) == map
    && ['secretName', 'secretRef', 'nodePublishSecretRef'].exists(f, f in v[k]))
    || v.?projected.?sources.orValue([]).exists(s, 'secret' in s))
    || (run.?containers.orValue([]) + run.?initContainers.orValue([]) + run.?ephemeralContainers.orValue([])).exists(c,
    c.?envFrom.orValue([]).exists(e, 'secretRef' in e)
    || c.?env.orValue([]).exists(e, e.?valueFrom.?secretKeyRef.hasValue())))
- name: runNamesConfigMap
  expression: >-
    variables.runs.exists(run, run.?volumes.orValue([]).exists(v, 'configMap' in v
    || v.?projected.?sources.orValue([]).exists(s, 'configMap' in s))
    || (run.?containers.orValue([]) + run.?initContainers.orValue([]) + run.?ephemeralContainers.orValue([])).exists(c,
    c.?envFrom.orValue([]).exists(e, 'configMapRef' in e)
    || c.?env.orValue([]).exists(e, e.?valueFrom.?configMapKeyRef.hasValue())))
{{- end }}
