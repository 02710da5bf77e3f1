using System.Text;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelTools.Tests.Formats.Hdf5;

/// <summary>
/// Writes HDF5 as far as tests need it, along https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html: a superblock of version 2, object headers
/// of version 1, links and attributes in the headers, datasets of 32-bit floats in one piece. Checksums are left 0.
/// </summary>
internal sealed class Hdf5Writer
{
    private readonly Node _root = new();

    public Hdf5Writer Attribute(string group, string name, string text) => Attribute(group, name, [text], scalar: true);

    public Hdf5Writer Attribute(string group, string name, params string[] texts) => Attribute(group, name, texts, scalar: false);

    /// <summary>A dataset; its path's parts are divided by <paramref name="divider"/>.</summary>
    public Hdf5Writer Dataset(string path, Tensor tensor, char divider = '/')
    {
        var parts = path.Split(divider, StringSplitOptions.RemoveEmptyEntries);
        At(parts[..^1]).Children[parts[^1]] = new Node { Data = tensor };
        return this;
    }

    public byte[] ToArray()
    {
        using var file = new MemoryStream();
        file.Write(new byte[48]);
        var root = Write(_root, file);
        var end = file.Length;
        file.Position = 0;
        using var writer = new BinaryWriter(file);
        writer.Write([0x89, (byte)'H', (byte)'D', (byte)'F', 13, 10, 26, 10, 2, 8, 8, 0]);
        writer.Write(0L);
        writer.Write(-1L);
        writer.Write(end);
        writer.Write(root);
        writer.Write(0);
        return file.ToArray();
    }

    private Hdf5Writer Attribute(string group, string name, string[] texts, bool scalar)
    {
        var size = texts.Length == 0 ? 1 : texts.Max(Encoding.UTF8.GetByteCount) + 1;
        byte[] data = [.. texts.SelectMany(text => Encoding.UTF8.GetBytes(text).Concat(new byte[size - Encoding.UTF8.GetByteCount(text)]))];
        byte[] type = [0x13, 0, 0, 0, .. BitConverter.GetBytes(size)];
        At(group.Split('/', StringSplitOptions.RemoveEmptyEntries)).Messages.Add((0x0C,
        [
            3, 0, .. BitConverter.GetBytes((ushort)(Encoding.UTF8.GetByteCount(name) + 1)), .. BitConverter.GetBytes((ushort)type.Length),
            .. BitConverter.GetBytes((ushort)(scalar ? 4 : 12)), 1, .. Encoding.UTF8.GetBytes(name), 0, .. type,
            .. Space(scalar ? [] : [texts.Length]), .. data,
        ]));
        return this;
    }

    private Node At(string[] parts)
    {
        var node = _root;
        foreach (var part in parts)
        {
            node = node.Children.TryGetValue(part, out var child) ? child : node.Children[part] = new Node();
        }

        return node;
    }

    private static byte[] Space(int[] sides) => [2, (byte)sides.Length, 0, (byte)(sides.Length == 0 ? 0 : 1),
        .. sides.SelectMany(side => BitConverter.GetBytes((long)side))];

    private static long Write(Node node, MemoryStream file)
    {
        List<(int Type, byte[] Data)> messages = [.. node.Messages];
        if (node.Data is { } tensor)
        {
            var at = file.Length;
            file.Position = at;
            file.Write(tensor.Data.Span);
            messages.Add((0x01, Space(tensor.Shape)));
            messages.Add((0x03, [0x11, 0x20, 31, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0]));
            messages.Add((0x08, [3, 1, .. BitConverter.GetBytes(at), .. BitConverter.GetBytes((long)tensor.Data.Length)]));
        }
        else
        {
            messages.Add((0x02, [0, 0, .. BitConverter.GetBytes(-1L), .. BitConverter.GetBytes(-1L)]));
        }

        foreach ((var name, var child) in node.Children)
        {
            var address = Write(child, file);
            var bytes = Encoding.UTF8.GetBytes(name);
            messages.Add((0x06, [1, 0, (byte)bytes.Length, .. bytes, .. BitConverter.GetBytes(address)]));
        }

        messages = [.. messages.Select(message => (message.Type, (byte[])[.. message.Data, .. new byte[(8 - (message.Data.Length % 8)) % 8]]))];
        file.Position = (file.Length + 7) & ~7L;
        var header = file.Position;
        using var writer = new BinaryWriter(file, Encoding.UTF8, leaveOpen: true);
        writer.Write([1, 0]);
        writer.Write((ushort)messages.Count);
        writer.Write(1);
        writer.Write(messages.Sum(message => message.Data.Length + 8));
        writer.Write(0);
        foreach ((var type, var data) in messages)
        {
            writer.Write((ushort)type);
            writer.Write((ushort)data.Length);
            writer.Write(0);
            writer.Write(data);
        }

        return header;
    }

    private sealed class Node
    {
        public List<(int Type, byte[] Data)> Messages { get; } = [];

        public SortedDictionary<string, Node> Children { get; } = new(StringComparer.Ordinal);

        public Tensor? Data { get; init; }
    }
}
