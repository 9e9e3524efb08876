# Bundles: a run's policy as a folder that runs without PyTorch, and its certificate.
rule export_bundle:
    input:
        bundle_packages,
        lambda w: backbone_weights(backbone_of(w)),
        **behaviour_inputs,
        policy=TrainingFiles.below().policy,
    output:
        **outputs(BundleFiles),
    log:
        BundleFiles.log(),
    wildcard_constraints:
        precision="fp32",
    conda:
        "../../envs/mobile-vla-bundle.yaml"
    threads: model_threads
    resources:
        mem_mb=model_memory,
    params:
        *tracked("export_bundle", project.export_bundle, "experiment", "run"),
        settings=settings_of("export_bundle"),
        checkpoint=checkpoint_folder,
    shell:
        command("export_bundle")


# The same with matrix products in int8, made of the one in fp32.
rule quantise_bundle:
    input:
        lambda w: bundle_files(exported(w)),
        bundle=lambda w: BundleFiles.below(**exported(w)).description,
    output:
        **outputs(BundleFiles),
    log:
        BundleFiles.log(),
    wildcard_constraints:
        precision="int8",
    conda:
        "../../envs/mobile-vla-bundle.yaml"
    params:
        *tracked("quantise_bundle", project.quantise_bundle, "experiment", "run"),
        settings=settings_of("quantise_bundle"),
    shell:
        command("quantise_bundle")


# What a bundle does, beside PyTorch. It takes all cores, so that nothing runs beside it.
rule certify_bundle:
    input:
        bundle_files,
        lambda w: backbone_weights(backbone_of(w)),
        **behaviour_inputs,
        policy=TrainingFiles.below().policy,
        bundle=BundleFiles.below().description,
    output:
        **outputs(CertificateFiles),
    log:
        CertificateFiles.log(),
    conda:
        "../../envs/mobile-vla-bundle.yaml"
    threads: all_cores(model_threads)
    resources:
        mem_mb=model_memory,
    params:
        *tracked("certify_bundle", project.certify_bundle, "experiment", "run", "precision"),
        settings=settings_of("certify_bundle"),
        checkpoint=checkpoint_folder,
    shell:
        command("certify_bundle")
