{{/* Where the volume of the store `local` is, in the operator's pods. */}}
{{- define "workforce.archive.directory" -}}
/var/lib/aiagent-operator/archive
{{- end }}

{{/* "true" where the pods mount a volume for the store `local`, else empty. */}}
{{- define "workforce.archive.volume" -}}
{{- if and .Values.archive.enabled .Values.archive.directory.enabled }}true{{ end -}}
{{- end }}

{{- define "workforce.archive.claim" -}}
{{ .Values.archive.directory.existingClaim | default "aiagent-operator-archive" }}
{{- end }}

{{/* "true" where that volume can be mounted on one node at a time, so that all replicas have to be there, else empty. */}}
{{- define "workforce.archive.oneNode" -}}
{{- if and (include "workforce.archive.volume" .) (not (has "ReadWriteMany" .Values.archive.directory.accessModes)) }}true{{ end -}}
{{- end }}

{{/*
Label of the pods that have to be on one node. It names the volume, so that pods of an earlier revision, which mount
none or another one and may be anywhere, hold no pod of this one fast. A hash, since a claim's name may be too long.
*/}}
{{- define "workforce.archive.podLabel" -}}
workforce.dev/archive-volume: {{ include "workforce.archive.claim" . | sha256sum | trunc 16 | quote }}
{{- end }}

{{/* What the operator reads: its stores and which of them is the default. Fails where it could not start with it. */}}
{{- define "workforce.archive.config" -}}
{{- $archive := .Values.archive -}}
{{- $stores := list -}}
{{- $names := list -}}
{{- if $archive.directory.enabled -}}
{{- $stores = append $stores (dict "name" "local" "url" (printf "file://%s" (include "workforce.archive.directory" .))) -}}
{{- $names = append $names "local" -}}
{{- end -}}
{{- range $archive.stores -}}
{{- if and $archive.directory.enabled (eq .name "local") -}}
{{- fail "archive.stores: local is the name of the directory's store: use another name, or set archive.directory.enabled to false" -}}
{{- end -}}
{{- if has .name $names -}}
{{- fail (printf "archive.stores: two stores are called %s: give each a name of its own" .name) -}}
{{- end -}}
{{- $s3 := hasPrefix "s3://" .url -}}
{{- if and $s3 (not .region) -}}
{{- fail (printf "archive.stores: %s has no region, which s3:// needs: write the bucket's, such as eu-central-1" .name) -}}
{{- end -}}
{{- if and (not $s3) (or .region .lockMode) -}}
{{- fail (printf "archive.stores: region, lockMode and retention of %s mean something for s3:// only: leave them out" .name) -}}
{{- end -}}
{{- if and .handovers .lockMode -}}
{{- fail (printf "archive.stores: %s takes handovers, and what is locked cannot be erased: leave lockMode and retention out, or handovers" .name) -}}
{{- end -}}
{{- $store := omit . "credentialsSecret" "caConfigMap" -}}
{{- if .credentialsSecret -}}
{{- $_ := set $store "credentialsDir" (printf "/etc/aiagent-operator/archive-credentials/%s" .name) -}}
{{- end -}}
{{- if .caConfigMap -}}
{{- $_ := set $store "caFile" (printf "/etc/aiagent-operator/archive-ca/%s/ca.crt" .name) -}}
{{- end -}}
{{- $stores = append $stores $store -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- if not $stores -}}
{{- fail "archive.enabled is true and there is no store: set archive.directory.enabled to true, add one to archive.stores, or set archive.enabled to false" -}}
{{- end -}}
{{- if not (has $archive.default $names) -}}
{{- fail (printf "archive.default names %s, which is no store: use one of %s" $archive.default (join ", " $names)) -}}
{{- end -}}
{{- $config := dict "default" $archive.default "stores" $stores -}}
{{- if $archive.signingSecret -}}
{{- $_ := set $config "signingKeyFile" "/etc/aiagent-operator/archive-signing/signing.key" -}}
{{- end -}}
{{ toYaml $config }}
{{- end }}

{{/* "true" where a pod with these labels fits a term, as far as Helm can know; `dict "term" <term> "labels" <labels>`. */}}
{{- define "workforce.archive.fits" -}}
{{- $selector := .term.labelSelector | default dict -}}
{{- $labels := .labels -}}
{{- $fits := true -}}
{{- range $key, $value := $selector.matchLabels | default dict -}}
{{- if ne (toString $value) (get $labels $key | toString) }}{{ $fits = false }}{{ end -}}
{{- end -}}
{{- if $fits }}true{{ end -}}
{{- end }}

{{/*
The affinity of the values, and with a volume for one node: where a pod that mounts it is, the others have to be. The
first one is scheduled anywhere, as Kubernetes does with a pod that fits its own terms while no other does.
Fails where the pods would wait for ever: Kubernetes looks for one pod that fits all required terms.
*/}}
{{- define "workforce.affinity" -}}
{{- $affinity := deepCopy (.Values.affinity | default dict) -}}
{{- if include "workforce.archive.oneNode" . -}}
{{- $own := merge (include "workforce.archive.podLabel" . | fromYaml) (include "workforce.selector" . | fromYaml) -}}
{{- $labels := merge (deepCopy $own) (.Values.podLabels | default dict) (include "workforce.labels" . | fromYaml) -}}
{{- $way := "make archive.directory a ReadWriteMany volume, or set archive.directory.enabled to false and use archive.stores" -}}
{{- $apart := $affinity.podAntiAffinity | default dict -}}
{{- range $apart.requiredDuringSchedulingIgnoredDuringExecution -}}
{{- $selector := .labelSelector | default dict -}}
{{- if and $selector.matchLabels (not $selector.matchExpressions) (include "workforce.archive.fits" (dict "term" . "labels" $labels)) -}}
{{- fail (printf "affinity.podAntiAffinity keeps the operator's pods apart, and their volume keeps them on one node: prefer it instead of requiring it, %s" $way) -}}
{{- end -}}
{{- end -}}
{{- $together := $affinity.podAffinity | default dict -}}
{{- $terms := $together.requiredDuringSchedulingIgnoredDuringExecution | default list -}}
{{- range $terms -}}
{{- if not (include "workforce.archive.fits" (dict "term" . "labels" $labels)) -}}
{{- fail (printf "affinity.podAffinity requires other pods than the operator's, beside those with its volume, and one pod has to be both: prefer them instead of requiring them, %s" $way) -}}
{{- end -}}
{{- end -}}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" $own) -}}
{{- $_ := set $together "requiredDuringSchedulingIgnoredDuringExecution" (append $terms $term) -}}
{{- $_ := set $affinity "podAffinity" $together -}}
{{- end -}}
{{- with $affinity }}{{ toYaml . }}{{ end -}}
{{- end }}
