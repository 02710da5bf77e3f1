"""Renders one sample picture: a crate of fruit, dropped in by Blender's physics and lit like a shop.

    blender --background --factory-startup --python fruit.py -- granny-smith-apple picture.png [samples] [size]

Everything is built here, from formulas: no photo, no model and no texture of anybody else's goes in.
One unit is ten centimetres.
"""
import math
import random
import sys

import bpy
from mathutils import Euler, Vector, noise

FRUIT, OUT, *REST = sys.argv[sys.argv.index('--') + 1:]
SAMPLES = int(REST[0]) if REST else 256
SIZE = int(REST[1]) if len(REST) > 1 else 640


# Shapes: each gives the radius and the height at the polar angle t (0 = stem) and the turn p, before noise.

def apple(t, p):
    radius = math.sin(t) ** 0.92 * (1 + 0.10 * math.cos(t)) * (1 + 0.018 * math.cos(5 * p) * max(0, -math.cos(t)))
    height = 0.90 * math.cos(t) + 0.03
    height -= 0.36 * math.exp(-(radius / 0.26) ** 2) if t < math.pi / 2 else -0.20 * math.exp(-(radius / 0.24) ** 2)
    return radius, height


def lemon(t, p):
    radius = 0.86 * math.sin(t) ** 1.05
    height = 1.12 * math.cos(t)
    # The nipple at the blossom end is longer than the neck at the stem.
    height += 0.10 * math.exp(-(radius / 0.20) ** 2) if t < math.pi / 2 else -0.27 * math.exp(-(radius / 0.17) ** 2)
    return radius, height


def aubergine(t, p):
    # Slender at the stem, heavy at the blossom.
    radius = 0.62 * math.sin(t) ** 0.85 * (0.80 - 0.32 * math.cos(t))
    return radius, 1.62 * math.copysign(abs(math.cos(t)) ** 0.92, math.cos(t))


def bell_pepper(t, p):
    # Three or four lobes: sharp valleys between round ridges, deepest at the two ends.
    valley = (1 - abs(math.cos(1.5 * p + 0.25 * math.sin(p)))) ** 2.2
    ends = 0.35 + 0.65 * math.cos(t) ** 2
    radius = abs(math.sin(t)) ** 0.62 * (0.90 + 0.10 * math.cos(t)) * (1 - 0.26 * valley * ends)
    height = 1.08 * math.copysign(abs(math.cos(t)) ** 0.80, math.cos(t))
    height -= 0.46 * math.exp(-(radius / 0.40) ** 2) if t < math.pi / 2 else -0.42 * math.exp(-(radius / 0.34) ** 2)
    height += (0.10 if t < math.pi / 2 else -0.08) * (1 - valley) * abs(math.cos(t)) * min(1, radius / 0.4)
    return radius, height


def body(name, shape, scale, lumps, bend, seed, rings=72, turns=96):
    """A closed mesh around the vertical axis, bent and made uneven by smooth noise so that no two are alike."""
    offset = Vector((seed * 7.3, seed * 3.1, seed * 5.7))
    vertices = []
    for i in range(rings + 1):
        t = math.pi * i / rings
        for j in range(turns):
            p = 2 * math.pi * j / turns
            radius, height = shape(max(t, 1e-4) if i < rings else math.pi - 1e-4, p)
            point = Vector((radius * math.cos(p), radius * math.sin(p), height))
            point.x += bend * height * height
            point *= 1 + lumps * noise.noise(point * 1.1 + offset) + lumps * 0.3 * noise.noise(point * 3 + offset)
            vertices.append(point * scale)
    faces = [(i * turns + j, i * turns + (j + 1) % turns, (i + 1) * turns + (j + 1) % turns, (i + 1) * turns + j)
             for i in range(rings) for j in range(turns)]
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(vertices, [], [tuple(reversed(face)) for face in faces])
    mesh.polygons.foreach_set('use_smooth', [True] * len(faces))
    return mesh


def tube(name, path, radii, turns=14):
    """A closed tube along points, for stems."""
    vertices, faces = [], []
    for i, (at, radius) in enumerate(zip(path, radii)):
        along = (Vector(path[min(i + 1, len(path) - 1)]) - Vector(path[max(i - 1, 0)])).normalized()
        side = along.cross(Vector((0, 1, 0))).normalized()
        up = side.cross(along)
        for j in range(turns):
            angle = 2 * math.pi * j / turns
            vertices.append(Vector(at) + (side * math.cos(angle) + up * math.sin(angle)) * radius)
    for i in range(len(path) - 1):
        for j in range(turns):
            k = (j + 1) % turns
            faces.append((i * turns + j, i * turns + k, (i + 1) * turns + k, (i + 1) * turns + j))
    faces += [tuple(reversed(range(turns))), tuple(range((len(path) - 1) * turns, len(path) * turns))]
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(vertices, [], faces)
    mesh.polygons.foreach_set('use_smooth', [True] * len(faces))
    return mesh


# Materials

class Nodes:
    """Shorthand for building a material: node('Kind', inputs…) makes a node and links or sets its inputs."""

    def __init__(self, name):
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self.tree = self.material.node_tree
        self.surface = self.tree.nodes['Principled BSDF']

    def set(self, node, **inputs):
        for name, value in inputs.items():
            socket = node.inputs[int(name[1:]) if name[0] == '_' else name.replace('_', ' ')]
            if isinstance(value, bpy.types.NodeSocket):
                self.tree.links.new(value, socket)
            else:
                socket.default_value = value
        return node

    def node(self, kind, properties=None, **inputs):
        node = self.tree.nodes.new('ShaderNode' + kind)
        for name, value in (properties or {}).items():
            setattr(node, name, value)
        return self.set(node, **inputs)

    def position(self, stretch=(1, 1, 1)):
        """Object coordinates, moved by a random amount for each object so that textures do not repeat."""
        coordinates = self.node('TexCoord').outputs['Object']
        shift = self.node('Math', {'operation': 'MULTIPLY'}, _0=self.node('ObjectInfo').outputs['Random'], _1=50.0)
        moved = self.node('VectorMath', {'operation': 'ADD'}, _0=coordinates, _1=shift.outputs[0])
        return self.node('Mapping', _0=moved.outputs[0], Scale=stretch).outputs[0]

    def noise(self, scale, detail=4.0, stretch=(1, 1, 1)):
        return self.node('TexNoise', Vector=self.position(stretch), Scale=scale, Detail=detail).outputs['Fac']

    def ramp(self, value, *stops):
        """Maps a value to colours (or to grey levels) at (position, colour) stops."""
        node = self.node('ValToRGB', _0=value)
        elements = node.color_ramp.elements
        while len(elements) < len(stops):
            elements.new(0.5)
        for element, (at, colour) in zip(elements, stops):
            element.position = at
            element.color = (*colour, 1) if isinstance(colour, tuple) else (colour, colour, colour, 1)
        return node.outputs['Color']

    def mix(self, amount, first, second, blend='MIX'):
        first, second = ((*c, 1) if isinstance(c, tuple) else c for c in (first, second))
        return self.node('MixRGB', {'blend_type': blend}, Fac=amount, Color1=first, Color2=second).outputs[0]

    def axis_distance(self):
        """How far from the stem axis a point lies, 0..1."""
        coordinates = self.node('TexCoord').outputs['Generated']
        centred = self.node('VectorMath', {'operation': 'SUBTRACT'}, _0=coordinates, _1=(0.5, 0.5, 0.5))
        flat = self.node('VectorMath', {'operation': 'MULTIPLY'}, _0=centred.outputs[0], _1=(2, 2, 0))
        return self.node('VectorMath', {'operation': 'LENGTH'}, _0=flat.outputs[0]).outputs['Value']

    def bump(self, height, strength, distance=0.02):
        return self.node('Bump', Height=height, Strength=strength, Distance=distance).outputs[0]

    def finish(self, colour, **inputs):
        colour = (*colour, 1) if isinstance(colour, tuple) else colour
        self.set(self.surface, **{'Base_Color': colour, **inputs})
        return self.material


def apple_skin():
    n = Nodes('apple skin')
    green = n.ramp(n.noise(1.6, 3), (0.30, (0.19, 0.36, 0.018)), (0.50, (0.30, 0.47, 0.030)), (0.72, (0.47, 0.56, 0.060)))
    # Fine streaks run from the stem to the blossom.
    green = n.mix(0.20, green, n.ramp(n.noise(9, 3, (1, 1, 0.12)), (0.35, (0.14, 0.30, 0.012)), (0.65, (0.50, 0.62, 0.09))))
    # Lenticels: small pale dots, one in each Voronoi cell, of uneven brightness.
    dots = n.node('TexVoronoi', Vector=n.position(), Scale=17.0, Randomness=0.9)
    spot = n.ramp(dots.outputs['Distance'], (0.055, 1.0), (0.12, 0.0))
    amount = n.node('Math', {'operation': 'MULTIPLY'}, _0=spot, _1=0.55).outputs[0]
    green = n.mix(amount, green, (0.66, 0.70, 0.26))
    # Russet in the stem's hollow, dark at the blossom.
    hollow = n.ramp(n.axis_distance(), (0.06, 1.0), (0.27, 0.0))
    green = n.mix(hollow, green, n.ramp(n.noise(14), (0.4, (0.16, 0.20, 0.02)), (0.65, (0.24, 0.17, 0.06))))
    return n.finish(green, Roughness=n.ramp(n.noise(4), (0.3, 0.24), (0.7, 0.36)), Specular=0.5, Clearcoat=0.25,
                    Clearcoat_Roughness=0.12, Normal=n.bump(n.noise(22, 2), 0.05))


def lemon_skin():
    n = Nodes('lemon skin')
    dark, mid, light = (0.56, 0.42, 0.006), (0.76, 0.56, 0.014), (0.86, 0.68, 0.060)
    colour = n.ramp(n.noise(1.7, 3), (0.30, dark), (0.50, mid), (0.74, light))
    # Some are less ripe than others, and each is greener in places.
    green = n.node('Math', {'operation': 'MULTIPLY'}, _0=n.ramp(n.node('ObjectInfo').outputs['Random'], (0.45, 0.0), (1.0, 0.55)),
                   _1=n.ramp(n.noise(0.9, 2), (0.35, 0.0), (0.65, 1.0))).outputs[0]
    colour = n.mix(green, colour, (0.40, 0.46, 0.020))
    # The peel's oil glands: pits of two sizes.
    small = n.node('TexVoronoi', Vector=n.position(), Scale=50.0).outputs['Distance']
    large = n.node('TexVoronoi', Vector=n.position(), Scale=22.0).outputs['Distance']
    pits = n.mix(0.40, n.ramp(small, (0.0, 0.0), (0.5, 1.0)), n.ramp(large, (0.0, 0.0), (0.5, 1.0)))
    colour = n.mix(n.ramp(small, (0.05, 0.35), (0.28, 0.0)), colour, dark, 'MULTIPLY')
    scuffs = n.ramp(n.noise(5, 8), (0.64, 0.0), (0.76, 0.45))
    colour = n.mix(scuffs, colour, (0.42, 0.30, 0.06))
    return n.finish(colour, Roughness=0.38, Specular=0.5, Clearcoat=0.10, Clearcoat_Roughness=0.25,
                    Normal=n.bump(n.mix(0.5, pits, n.noise(7, 2)), 0.30, 0.03))


def aubergine_skin():
    n = Nodes('aubergine skin')
    colour = n.ramp(n.noise(1.2, 3, (1, 1, 0.5)), (0.30, (0.008, 0.003, 0.008)), (0.55, (0.016, 0.005, 0.015)), (0.80, (0.042, 0.010, 0.036)))
    scuffs = n.ramp(n.noise(4, 9, (1, 1, 0.4)), (0.68, 0.0), (0.78, 0.30))
    colour = n.mix(scuffs, colour, (0.12, 0.06, 0.05))
    return n.finish(colour, Roughness=n.ramp(n.noise(2.5), (0.3, 0.12), (0.7, 0.24)), Specular=0.55, Clearcoat=0.35,
                    Clearcoat_Roughness=0.06, Normal=n.bump(n.mix(0.5, n.noise(3, 2), n.noise(14, 2)), 0.08))


def pepper_skin():
    n = Nodes('pepper skin')
    colour = n.ramp(n.noise(1.3, 3), (0.30, (0.30, 0.004, 0.004)), (0.52, (0.50, 0.012, 0.008)), (0.75, (0.62, 0.035, 0.010)))
    streaks = n.ramp(n.noise(5, 4, (1, 1, 0.25)), (0.55, 0.0), (0.80, 0.35))
    colour = n.mix(streaks, colour, (0.66, 0.06, 0.012))
    return n.finish(colour, Roughness=n.ramp(n.noise(3), (0.3, 0.13), (0.7, 0.22)), Specular=0.55, Clearcoat=0.5, Clearcoat_Roughness=0.05,
                    Normal=n.bump(n.mix(0.5, n.noise(4, 2), n.noise(16, 2)), 0.10))


def stem_skin(name, dark, light):
    n = Nodes(name)
    return n.finish(n.ramp(n.noise(9, 6, (1, 1, 0.3)), (0.35, dark), (0.7, light)), Roughness=0.55, Normal=n.bump(n.noise(30, 4), 0.4))


def wood():
    n = Nodes('wood')
    # Rings seen along a plank: a wave bent by noise, stretched along the plank's length.
    grain = n.node('TexWave', {'wave_type': 'BANDS', 'bands_direction': 'Y'}, Vector=n.position((0.06, 1, 1)), Scale=1.6,
                   Distortion=9.0, Detail=3.0, Detail_Scale=1.4).outputs['Fac']
    fibre = n.noise(38, 6, (0.03, 1, 1))
    colour = n.ramp(grain, (0.0, (0.36, 0.20, 0.085)), (0.5, (0.52, 0.33, 0.16)), (1.0, (0.62, 0.43, 0.23)))
    colour = n.mix(0.35, colour, n.ramp(fibre, (0.35, (0.28, 0.15, 0.06)), (0.65, (0.66, 0.48, 0.28))))
    return n.finish(colour, Roughness=0.62, Specular=0.3, Normal=n.bump(n.mix(0.5, grain, fibre), 0.25))


# Fruit: shape, size, unevenness, skin, stem, how many, how far they tilt at first, the crate's look.

def apple_stem():
    return tube('stem', [(0, 0, 0.20), (0.004, 0, 0.28), (0.016, 0, 0.36), (0.036, 0, 0.43)], [0.011, 0.010, 0.011, 0.017])


def apple_calyx():
    """What is left of the blossom: a small dry tuft in the lower hollow."""
    return tube('calyx', [(0, 0, -0.235), (0, 0, -0.255), (0.004, 0, -0.275), (0.006, 0, -0.287)], [0.050, 0.034, 0.024, 0.008], 7)


def citrus_button():
    return tube('button', [(0, 0, 0.0), (0, 0, 0.012), (0, 0, 0.024)], [0.034, 0.030, 0.016], 9)


def aubergine_stem():
    return tube('stem', [(0, 0, 0.69), (0, 0, 0.775), (0.012, 0, 0.875), (0.05, 0, 0.99), (0.11, 0, 1.075)], [0.137, 0.088, 0.063, 0.060, 0.072])


def aubergine_calyx():
    """A leathery cap with five points, lying on the fruit."""
    rings, turns, scale = 12, 80, FRUITS['aubergine']['scale'] * 1.037
    vertices = []
    for i in range(rings + 1):
        for j in range(turns):
            p = 2 * math.pi * j / turns
            point = 0.34 + 0.42 * (1 - abs(math.sin(2.5 * p))) ** 1.3
            t = 1e-3 + point * i / rings
            radius, height = aubergine(t, p)
            lift = 1.05 + 0.05 * (i / rings) ** 3
            vertices.append((radius * lift * math.cos(p) * scale, radius * lift * math.sin(p) * scale, (height + 0.03) * scale))
    faces = [(i * turns + j, (i + 1) * turns + j, (i + 1) * turns + (j + 1) % turns, i * turns + (j + 1) % turns)
             for i in range(rings) for j in range(turns)]
    mesh = bpy.data.meshes.new('calyx')
    mesh.from_pydata(vertices, [], faces)
    mesh.polygons.foreach_set('use_smooth', [True] * len(faces))
    return mesh


def pepper_stem():
    return tube('stem', [(0, 0, 0.20), (0, 0, 0.245), (0, 0, 0.27), (0.01, 0, 0.33), (0.03, 0, 0.44), (0.075, 0, 0.56), (0.09, 0, 0.59)],
                [0.17, 0.15, 0.085, 0.058, 0.056, 0.070, 0.066])


FRUITS = {
    'granny-smith-apple': dict(
        shape=apple, scale=0.39, lumps=0.05, skin=apple_skin, stem=apple_stem, calyx=apple_calyx, count=42, tilt=1.1, seed=3,
        stem_skin=lambda: stem_skin('stem', (0.055, 0.035, 0.014), (0.17, 0.12, 0.045))),
    'lemon': dict(
        shape=lemon, scale=0.29, lumps=0.085, skin=lemon_skin, stem=citrus_button, stem_at=0.335, count=98, tilt=3.1, seed=5,
        stem_skin=lambda: stem_skin('stem', (0.10, 0.11, 0.02), (0.26, 0.25, 0.08))),
    'aubergine': dict(
        shape=aubergine, scale=0.50, lumps=0.05, bend=0.10, skin=aubergine_skin, stem=aubergine_stem, calyx=aubergine_calyx,
        count=26, tilt=2.6, seed=2, stem_skin=lambda: stem_skin('stem', (0.07, 0.15, 0.018), (0.20, 0.33, 0.05))),
    'red-bell-pepper': dict(
        shape=bell_pepper, scale=0.43, lumps=0.07, skin=pepper_skin, stem=pepper_stem, count=30, tilt=1.6, seed=4,
        stem_skin=lambda: stem_skin('stem', (0.05, 0.13, 0.012), (0.16, 0.30, 0.04))),
}


def place(mesh, material, location=(0, 0, 0), rotation=(0, 0, 0), parent=None):
    thing = bpy.data.objects.new(mesh.name, mesh)
    if not mesh.materials:
        mesh.materials.append(material)
    thing.location, thing.rotation_euler, thing.parent = location, rotation, parent
    bpy.context.collection.objects.link(thing)
    return thing


def solid(thing, kind, **settings):
    bpy.context.view_layer.objects.active = thing
    bpy.ops.rigidbody.object_add(type=kind)
    thing.rigid_body.collision_shape, thing.rigid_body.mesh_source = 'CONVEX_HULL', 'BASE'
    for name, value in dict(friction=0.6, restitution=0.05, use_margin=True, collision_margin=0.004, **settings).items():
        setattr(thing.rigid_body, name, value)


def plank(material, size, location, bevel=0.02):
    bpy.ops.mesh.primitive_cube_add(size=1, location=location)
    thing = bpy.context.object
    thing.scale = size
    bpy.ops.object.transform_apply(scale=True)
    modifier = thing.modifiers.new('bevel', 'BEVEL')
    modifier.width, modifier.segments = bevel, 3
    thing.data.materials.append(material)
    solid(thing, 'PASSIVE')
    return thing


def crate(half, height):
    """A wooden crate: slatted floor, two boards on each side, posts in the corners."""
    material = wood()
    for i in range(7):
        plank(material, (2 * half, 2 * half / 7 - 0.03, 0.10), (0, -half + (i + 0.5) * 2 * half / 7, -0.05))
    board = height / 2 - 0.05
    for level in (0, 1):
        z = 0.03 + board / 2 + level * (board + 0.07)
        for sign in (-1, 1):
            plank(material, (2 * half + 0.3, 0.10, board), (0, sign * (half + 0.05), z))
            side = plank(material, (2 * half + 0.1, 0.10, board), (0, 0, z))
            side.rotation_euler.z = math.pi / 2
            side.location.x = sign * (half + 0.05)


def light(name, location, target, size, power, colour):
    data = bpy.data.lights.new(name, 'AREA')
    data.shape, data.size, data.size_y = 'RECTANGLE', size[0], size[1]
    data.energy, data.color = power, colour
    lamp = bpy.data.objects.new(name, data)
    lamp.location = location
    lamp.rotation_euler = (Vector(target) - Vector(location)).to_track_quat('-Z', 'Y').to_euler()
    bpy.context.collection.objects.link(lamp)


def build(fruit):
    rng = random.Random(fruit['seed'])
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    bpy.ops.rigidbody.world_add()
    scene.rigidbody_world.substeps_per_frame, scene.rigidbody_world.solver_iterations = 12, 30
    scene.rigidbody_world.point_cache.frame_end = 250

    half = 1.75
    crate(half, 0.95)
    # Walls that only the physics sees keep the heap in.
    for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        bpy.ops.mesh.primitive_cube_add(size=1, location=(x * (half + 0.25), y * (half + 0.25), 4))
        wall = bpy.context.object
        wall.scale = (0.5 if x else 9, 0.5 if y else 9, 9)
        solid(wall, 'PASSIVE')
        wall.hide_render = True

    skin, stem_material, stems = fruit['skin'](), fruit['stem_skin'](), [fruit[part]() for part in ('stem', 'calyx') if part in fruit]
    kinds = [[body(FRUIT, fruit['shape'], fruit['scale'], fruit['lumps'], fruit.get('bend', 0) * (k / 5), fruit['seed'] + k, *detail)
              for detail in ((72, 96), (12, 16))] for k in range(6)]
    step = fruit['scale'] * 2.25
    across = int(2 * half / step)
    for i in range(fruit['count']):
        layer, rest = divmod(i, across * across)
        row, column = divmod(rest, across)
        spot = Vector(((column + 0.5) * step - across * step / 2, (row + 0.5) * step - across * step / 2, 0.6 + layer * step * 1.1))
        spot += Vector((rng.uniform(-0.06, 0.06), rng.uniform(-0.06, 0.06), 0))
        turn = Euler((rng.gauss(0, 1) * fruit['tilt'] * 0.6, rng.gauss(0, 1) * fruit['tilt'] * 0.6, rng.uniform(0, 6.28)))
        # Physics moves a coarse twin, which only it sees, and the fruit and its stem with it.
        seen, felt = kinds[i % len(kinds)]
        twin = place(felt, skin, spot, turn)
        twin.hide_render = True
        scale = rng.uniform(0.93, 1.05)
        twin.scale = (scale, scale, scale)
        solid(twin, 'ACTIVE', mass=0.2, linear_damping=0.15, angular_damping=0.35)
        place(seen, skin, parent=twin)
        for stem in stems:
            place(stem, stem_material, (0, 0, fruit.get('stem_at', 0)), (0, 0, rng.uniform(0, 6.28)), twin)

    for frame in range(1, 161):
        scene.frame_set(frame)

    # What shows beside the crate: a dark shelf.
    shelf = Nodes('shelf')
    bpy.ops.mesh.primitive_plane_add(size=40, location=(0, 0, -0.25))
    bpy.context.object.data.materials.append(
        shelf.finish(shelf.ramp(shelf.noise(2, 8), (0.3, (0.030, 0.030, 0.032)), (0.7, (0.075, 0.072, 0.070))), Roughness=0.5))

    # Tubes over the shelf, a soft window on one side, the pale rest of the shop.
    light('tubes', (-0.8, 0.6, 6.5), (0, 0, 0.5), (4.5, 1.1), 620, (1.0, 0.95, 0.86))
    light('window', (5.5, -2.0, 4.5), (0, 0, 0.5), (3, 3), 240, (0.90, 0.95, 1.0))
    world = bpy.data.worlds.new('shop')
    world.use_nodes = True
    world.node_tree.nodes['Background'].inputs[0].default_value = (0.75, 0.80, 0.85, 1)
    world.node_tree.nodes['Background'].inputs[1].default_value = 0.28
    scene.world = world

    camera = bpy.data.objects.new('camera', bpy.data.cameras.new('camera'))
    camera.location = (0.45, -3.25, 5.0)
    target = Vector((0.05, -0.22, 0.75))
    camera.rotation_euler = (target - camera.location).to_track_quat('-Z', 'Y').to_euler()
    camera.data.lens = 56
    camera.data.dof.use_dof = True
    camera.data.dof.focus_distance = (target - camera.location).length - 0.35
    camera.data.dof.aperture_fstop = 0.9  # of a lens scaled like the scene
    bpy.context.collection.objects.link(camera)
    scene.camera = camera


def render():
    scene = bpy.context.scene
    scene.render.engine = 'CYCLES'
    scene.cycles.samples, scene.cycles.seed = SAMPLES, 1
    scene.cycles.use_adaptive_sampling, scene.cycles.adaptive_threshold = True, 0.015
    scene.cycles.max_bounces, scene.cycles.caustics_reflective = 5, False
    scene.cycles.use_denoising = False
    scene.view_settings.view_transform, scene.view_settings.look = 'Filmic', 'Medium High Contrast'
    scene.render.resolution_x = scene.render.resolution_y = SIZE
    scene.render.image_settings.file_format = 'PNG'
    scene.render.filepath = OUT
    bpy.ops.render.render(write_still=True)


build(FRUITS[FRUIT])
render()
