"""What users write: the names of the Azure Machine Learning SDK v1, as descriptions of work.

One noun a file. Nothing here runs a step or touches the database: objects are compiled to a
`PipelineSpec` (`spec`), handed to the daemon through the client (`submit`), and what came of
them is read back the same way (`runs`). The public names are importable from `stepwell` itself.
"""
