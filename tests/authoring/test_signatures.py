"""The names, defaults and orders of arguments that programs for the SDK rely on.

Each line is a signature of the SDK's reference. Ours may take more behind it, and nothing less.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

import stepwell

FOREVER = 9223372036854775807
SIGNATURES = """
Pipeline(workspace, steps, description=None, default_datastore=None, default_source_directory=None, resolve_closure=True)
Pipeline.submit(experiment_name, pipeline_parameters=None, continue_on_step_failure=False, regenerate_outputs=False, parent_run_id=None, credential_passthrough=None)
Pipeline.validate()
PipelineData(name, datastore=None, output_name=None, output_mode='mount', output_path_on_compute=None, output_overwrite=None, data_type=None, is_directory=None, pipeline_output_name=None, training_output=None)
PipelineData.as_download(input_name=None, path_on_compute=None, overwrite=None)
PipelineData.as_input(input_name)
PipelineData.as_mount(input_name=None)
PipelineData.create_input_binding(input_name=None, mode=None, path_on_compute=None, overwrite=None)
PipelineData.get_env_variable_name()
PipelineParameter(name, default_value)
StepSequence(steps=None)
PipelineStep(name, inputs, outputs, arguments=None, fix_port_name_collisions=False, resource_inputs=None)
PipelineStep.resolve_input_arguments(arguments, inputs, outputs, params)
PipelineStep.run_after(step)
PipelineStep.validate_arguments(arguments, inputs, outputs)
InputPortBinding(name, bind_object=None, bind_mode='mount', path_on_compute=None, overwrite=None, is_resource=False, additional_transformations=None)
InputPortBinding.get_bind_object_data_type()
InputPortBinding.get_bind_object_name()
OutputPortBinding(name, datastore=None, output_name=None, bind_mode='mount', path_on_compute=None, is_directory=None, overwrite=None, data_type=None, pipeline_output_name=None, training_output=None, dataset_registration=None, dataset_output=None)
PortDataReference(context, pipeline_run_id, data_reference, step_run=None)
PortDataReference.download(local_path, overwrite=None, show_progress=None)
PipelineRun(experiment, run_id)
PipelineRun.cancel()
PipelineRun.find_step_run(name)
PipelineRun.get(workspace, run_id)
PipelineRun.get_graph()
PipelineRun.get_pipeline_output(pipeline_output_name)
PipelineRun.get_status()
PipelineRun.get_steps()
PipelineRun.get_tags()
PipelineRun.wait_for_completion(show_output=True, timeout_seconds=9223372036854775807, raise_on_error=True)
StepRun(experiment, step_run_id, pipeline_run_id, node_id)
StepRun.get_details_with_logs()
StepRun.get_job_log()
StepRun.get_output(name)
StepRun.get_output_data(name)
StepRun.get_outputs()
StepRun.get_status()
StepRun.get_stderr_log()
StepRun.get_stdout_log()
StepRun.wait_for_completion(show_output=True, timeout_seconds=9223372036854775807, raise_on_error=True)
StepRunOutput(context, pipeline_run_id, step_run, name, step_output)
StepRunOutput.get_port_data_reference()
PythonScriptStep(script_name, name=None, arguments=None, compute_target=None, runconfig=None, runconfig_pipeline_params=None, inputs=None, outputs=None, params=None, source_directory=None, allow_reuse=True, version=None, hash_paths=None)
CommandStep(command=None, name=None, compute_target=None, runconfig=None, runconfig_pipeline_params=None, inputs=None, outputs=None, params=None, source_directory=None, allow_reuse=True, version=None)
Workspace(subscription_id, resource_group, workspace_name, auth=None, sku='basic', tags=None)
Workspace.create(name, auth=None, subscription_id=None, resource_group=None, location=None, create_resource_group=True, sku='basic', tags=None, friendly_name=None, storage_account=None, key_vault=None, app_insights=None, container_registry=None, adb_workspace=None, primary_user_assigned_identity=None, cmk_keyvault=None, resource_cmk_uri=None, hbi_workspace=False, default_cpu_compute_target=None, default_gpu_compute_target=None, private_endpoint_config=None, private_endpoint_auto_approval=True, exist_ok=False, show_output=True, user_assigned_identity_for_cmk_encryption=None, system_datastores_auth_mode='accessKey', v1_legacy_mode=None)
Workspace.from_config(path=None, auth=None)
Workspace.get(name, auth=None, subscription_id=None, resource_group=None, location=None, cloud='AzureCloud', id=None)
Workspace.get_default_compute_target(type)
Workspace.get_default_datastore()
Workspace.get_details()
Workspace.get_run(run_id)
Workspace.list(subscription_id, auth=None, resource_group=None)
Workspace.write_config(path=None, file_name=None)
Experiment(workspace, name)
Experiment.get_runs(type=None, tags=None, properties=None, include_children=False)
Experiment.list(workspace, experiment_name=None, view_type='ActiveOnly', tags=None)
Experiment.refresh()
Experiment.submit(config, tags=None)
Datastore(workspace, name=None)
Datastore.get(workspace, datastore_name)
Datastore.get_default(workspace)
Environment(name)
Environment.clone(new_name)
Environment.from_conda_specification(name, file_path)
Environment.from_docker_image(name, image, container_registry=None, conda_specification=None, pip_requirements=None)
Environment.from_pip_requirements(name, file_path, pip_version=None)
RunConfiguration(script=None, arguments=None, framework=None, communicator=None, conda_dependencies=None, command=None)
ScriptRunConfig(source_directory, script=None, arguments=None, run_config=None, compute_target=None, environment=None, distributed_job_config=None, resume_from=None, max_run_duration_seconds=2592000, command=None, docker_runtime_config=None)
DockerConfiguration(use_docker=False, shared_volumes=True, arguments=(), shm_size='2g')
MpiConfiguration(process_count_per_node=1, node_count=1)
CondaDependencies(conda_dependencies_file_path=None)
CondaDependencies.create(pip_indexurl=None, pip_packages=None, conda_packages=None, python_version='3.10.18', pin_sdk_version=True)
CondaDependencies.add_channel(channel)
CondaDependencies.add_conda_package(conda_package)
CondaDependencies.add_pip_package(pip_package)
CondaDependencies.get_python_version()
CondaDependencies.merge_requirements(requirements)
CondaDependencies.save(path=None)
CondaDependencies.save_to_file(base_directory, conda_file_path=None)
CondaDependencies.serialize_to_string()
CondaDependencies.set_pip_index_url(index_url)
CondaDependencies.set_pip_option(pip_option)
CondaDependencies.set_pip_requirements(pip_requirements)
CondaDependencies.set_python_version(version)
ComputeTarget(workspace, name)
ComputeTarget.create(workspace, name, provisioning_configuration)
ComputeTarget.delete()
ComputeTarget.get_status()
ComputeTarget.list(workspace)
ComputeTarget.refresh_state()
ComputeTarget.serialize()
ComputeTarget.wait_for_completion(show_output=False, is_delete_operation=False)
AmlCompute.get()
AmlCompute.provisioning_configuration(vm_size='', vm_priority='dedicated', min_nodes=0, max_nodes=None, idle_seconds_before_scaledown=1800, admin_username=None, admin_user_password=None, admin_user_ssh_key=None, vnet_resourcegroup_name=None, vnet_name=None, subnet_name=None, tags=None, description=None, remote_login_port_public_access='NotSpecified', identity_type=None, identity_id=None, location=None, enable_node_public_ip=True)
AmlCompute.update(min_nodes=None, max_nodes=None, idle_seconds_before_scaledown=None)
AmlCompute.wait_for_completion(show_output=False, min_node_count=None, timeout_in_minutes=25, is_delete_operation=False)
AmlComputeStatus(allocation_state, allocation_state_transition_time, creation_time, current_node_count, errors, modified_time, node_state_counts, provisioning_state, provisioning_state_transition_time, scale_settings, target_node_count, vm_priority, vm_size)
AmlComputeStatus.serialize()
ScaleSettings(minimum_node_count, maximum_node_count, idle_seconds_before_scaledown)
Run(experiment, run_id, outputs=None)
Run.add_properties(properties)
Run.cancel()
Run.download_file(name, output_file_path=None)
Run.download_files(prefix=None, output_directory=None, output_paths=None, batch_size=100, append_prefix=True, timeout_seconds=None)
Run.get(workspace, run_id)
Run.get_children(recursive=False, tags=None, properties=None, type=None, status=None)
Run.get_context(allow_offline=True, used_for_context_manager=False)
Run.get_detailed_status()
Run.get_details()
Run.get_details_with_logs()
Run.get_file_names()
Run.get_metrics(name=None, recursive=False, run_type=None, populate=False)
Run.get_portal_url()
Run.get_properties()
Run.get_status()
Run.get_tags()
Run.list(experiment, type=None, tags=None, properties=None, status=None, include_children=False)
Run.set_tags(tags)
Run.tag(key, value=None)
Run.wait_for_completion(show_output=False, wait_post_processing=False, raise_on_error=True)
ScriptRun.wait_for_completion(show_output=False, wait_post_processing=False, raise_on_error=True)
"""  # noqa: E501  # a signature a line
OPTIONAL_HERE = {  # required in the SDK; there is one sensible value on one machine
    ("PipelineData.as_input", "input_name"),
    ("Workspace.list", "subscription_id"),
    ("Workspace.get_default_compute_target", "type"),
}
_EMPTY = inspect.Parameter.empty
_SKIPPED = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


def expected(line: str) -> tuple[str, dict[str, Any]]:
    """Return the dotted name of a signature, and its arguments with their defaults."""
    name, _, rest = line.partition("(")
    names: dict[str, Any] = {}
    exec(f"def stated({rest}: ...", names)
    stated: Callable[..., Any] = names["stated"]
    return name, {key: item.default for key, item in inspect.signature(stated).parameters.items()}


def ours(name: str) -> dict[str, Any]:
    owner, _, member = name.partition(".")
    found: Any = getattr(stepwell, owner)
    if member:
        found = getattr(found, member)
    parameters = inspect.signature(found).parameters
    return {key: item.default for key, item in parameters.items() if item.kind not in _SKIPPED and key != "self"}


@pytest.mark.parametrize("line", SIGNATURES.strip().splitlines(), ids=lambda line: line.partition("(")[0])
def test_a_name_of_the_sdk_takes_the_sdk_s_arguments_with_their_defaults(line: str) -> None:
    name, stated = expected(line)

    made = ours(name)

    assert list(made)[: len(stated)] == list(stated)
    for argument, default in stated.items():
        if (name, argument) in OPTIONAL_HERE:
            assert made[argument] is not _EMPTY
        elif default is _EMPTY:
            assert made[argument] is _EMPTY
        else:
            assert made[argument] == default, argument
