namespace Microsoft.ML.OnnxRuntime;

/// <summary>What a model says of itself.</summary>
public sealed unsafe class ModelMetadata
{
    internal ModelMetadata(nint session)
    {
        OrtAllocator allocator = OrtAllocator.DefaultInstance;
        nint metadata;
        OnnxRuntimeException.ThrowIfFailed(NativeMethods.SessionGetModelMetadata(session, &metadata));
        try
        {
            ProducerName = Read(metadata, &NativeMethods.ModelMetadataGetProducerName);
            GraphName = Read(metadata, &NativeMethods.ModelMetadataGetGraphName);
            Domain = Read(metadata, &NativeMethods.ModelMetadataGetDomain);
            Description = Read(metadata, &NativeMethods.ModelMetadataGetDescription);
            GraphDescription = Read(metadata, &NativeMethods.ModelMetadataGetGraphDescription);

            long version;
            OnnxRuntimeException.ThrowIfFailed(NativeMethods.ModelMetadataGetVersion(metadata, &version));
            Version = version;

            nint* keys;
            long count;
            OnnxRuntimeException.ThrowIfFailed(NativeMethods.ModelMetadataGetCustomMetadataMapKeys(metadata, allocator.Pointer, &keys, &count));
            for (long i = 0; i < count; i++)
            {
                nint value;
                OnnxRuntimeException.ThrowIfFailed(
                    NativeMethods.ModelMetadataLookupCustomMetadataMap(metadata, allocator.Pointer, keys[i], &value));
                CustomMetadataMap[allocator.TakeString(keys[i])] = allocator.TakeString(value);
            }

            if (count > 0)
            {
                allocator.Free((nint)keys);
            }
        }
        finally
        {
            NativeMethods.ReleaseModelMetadata(metadata);
        }

        string Read(nint metadata, delegate*<nint, nint, nint*, nint> property)
        {
            nint text;
            OnnxRuntimeException.ThrowIfFailed(property(metadata, allocator.Pointer, &text));
            return allocator.TakeString(text);
        }
    }

    /// <summary>The tool that wrote the model.</summary>
    public string ProducerName { get; }

    /// <summary>The graph's name.</summary>
    public string GraphName { get; }

    /// <summary>The model's namespace, in reverse-DNS form.</summary>
    public string Domain { get; }

    /// <summary>The model's description.</summary>
    public string Description { get; }

    /// <summary>The graph's description.</summary>
    public string GraphDescription { get; }

    /// <summary>The model's version.</summary>
    public long Version { get; }

    /// <summary>The producer's own entries.</summary>
    public Dictionary<string, string> CustomMetadataMap { get; } = [];
}
