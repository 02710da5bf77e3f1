using Whatsit.Inference;
using Whatsit.Inference.Catalog;

namespace Whatsit.ModelTools.Commands;

/// <summary>Where a bundle lies among the others, and how one gets there.</summary>
internal sealed class BundleFolder
{
    private readonly string _models;
    private readonly string _name;

    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidRequest"/>: the name cannot be one.</exception>
    public BundleFolder(string models, string name)
    {
        if (!Bundle.IsName(name))
        {
            throw Bundle.NoName(name);
        }

        (_models, _name) = (models, name);
    }

    /// <summary>The bundle's folder.</summary>
    public string Path => System.IO.Path.Combine(_models, _name);

    /// <summary>A folder beside it that no server looks at, for a bundle that is being written.</summary>
    public string NewTemporary()
    {
        var models = System.IO.Path.GetFullPath(_models);
        Directory.CreateDirectory(models);
        return System.IO.Path.Combine(models, TemporaryName.New(models, _name));
    }

    /// <summary>The version of what takes its place.</summary>
    public string NextVersion() =>
        File.Exists(System.IO.Path.Combine(Path, Bundle.ManifestFile)) ? ManifestEdit.Next(Bundle.ReadManifest(Path).Version) : "1";

    /// <summary>Renames are atomic: the server sees the old bundle or the new one.</summary>
    public void Install(string temporary) => Bundle.Install(temporary, Path);
}
